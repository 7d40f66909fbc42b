// Malformed input of six kinds, made from well-formed ones by rules of their grammar and by chance. An input is
// known by its seed, kind and index: these always give the same bytes. Some are known to be bad or good: `expect`
// says then what has to come of them; of the others only that something does.
import { Dice } from './chance.mjs';
import { goodForm, goodHttp, http, multipart } from './malform-http.mjs';
import { goodJson, goodToken, json, tokens } from './malform-json.mjs';
import { frames, goodFrames, goodPackets, packets } from './malform-packets.mjs';

const MALFORMED = { http, frames, packets, json, multipart, tokens };
const WELL_FORMED = { http: goodHttp, frames: goodFrames, packets: goodPackets, json: goodJson, multipart: goodForm,
	tokens: goodToken };

export const KINDS = Object.keys(MALFORMED);

// The input of that kind and number. `place`: { token, user, channel, room } of the server it is for.
export function malformed(seed, kind, index, place) {
	return { kind, index, ...MALFORMED[kind](new Dice(seed, kind, index), place) };
}

// A well-formed input of the same kind, taken as `expect` says. `padding`: bytes of one more line, in HTTP.
export function wellFormed(seed, kind, index, place, padding) {
	const dice = new Dice(seed, kind, index, 'good');
	return { kind, index, what: 'well-formed', ...WELL_FORMED[kind](dice, place, padding) };
}
