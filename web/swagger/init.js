// The reference of the REST endpoints: Swagger's user interface over the document of this server.
SwaggerUIBundle({
	url: '/api-json',
	dom_id: '#reference',
	deepLinking: true,
	displayRequestDuration: true,
	tryItOutEnabled: true,
	// Nothing of what is asked here goes to anybody else.
	validatorUrl: null,
});
