/* The APIs that this server has, by apis.def. */
#include "worker/api/api.h"

#define API(name) extern const struct api api_##name;
#define ROUTES(name) extern const struct api_route routes_##name[];
#include "worker/api/apis.def"
#undef API
#undef ROUTES

#define ROUTES(name)
#define API(name) &api_##name,
const struct api *const apis[] = {
#include "worker/api/apis.def"
	NULL
};
#undef API
#undef ROUTES

#define API(name)
#define ROUTES(name) routes_##name,
const struct api_route *const api_routes[] = {
#include "worker/api/apis.def"
	NULL
};
