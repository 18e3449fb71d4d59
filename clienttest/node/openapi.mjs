// Validates the OpenAPI document of a server: node openapi.mjs ADDRESS
import assert from 'node:assert/strict';
import {Validator} from '@seriousme/openapi-schema-validator';

const reply = await fetch(`http://${process.argv[2]}/openapi.json`);
assert.equal(reply.status, 200);
assert.match(reply.headers.get('content-type'), /^application\/json/);
const document = await reply.json();
const validator = new Validator();
const result = await validator.validate(document);
assert.ok(result.valid, JSON.stringify(result.errors, null, 2));
assert.equal(validator.version, '3.0');
assert.ok(validator.resolveRefs()); // that every reference leads somewhere
assert.ok(Object.keys(document.paths).length > 10);
