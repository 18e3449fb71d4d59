// What Google's client of the Translation API is asked to do, one function each, against
// examples/translation: node translation.mjs TRANSPORT ADDRESS SCENARIO... Every scenario fails by
// throwing.
import assert from 'node:assert/strict';
import {once} from 'node:events';
import translate from '@google-cloud/translate';
import {PassThroughClient} from 'google-auth-library';
import gax from 'google-gax';

const [, , transport, address, ...names] = process.argv;
const location = 'projects/p/locations/l';
const glossary = `${location}/glossaries/node`;
const characters = 1087553; // of the shipped text

// connect makes a client as it comes, told where the server is, and that it needs no credentials.
function connect() {
  const [apiEndpoint, port] = address.split(':');
  const where = {apiEndpoint, port: Number(port)};
  if (transport === 'grpc') {
    return new translate.v3.TranslationServiceClient({...where, sslCreds: gax.grpc.credentials.createInsecure()});
  }
  // With validateStatus fetch behaves as its standard says, and leaves an error to gax, which
  // reads Google's envelope. By default gaxios throws first, with the HTTP status as the code.
  const authClient = new PassThroughClient({transporterOptions: {validateStatus: () => true}});
  return new translate.v3.TranslationServiceClient({...where, protocol: 'http', fallback: true, authClient});
}

// rejected returns the error of a promise.
async function rejected(promise) {
  try {
    await promise;
  } catch (err) {
    return err;
  }
  return assert.fail('no error, want one');
}

async function createGlossary(client, name) {
  const [op] = await client.createGlossary({parent: location, glossary: {
    name,
    languagePair: {sourceLanguageCode: 'en', targetLanguageCode: 'de'},
    inputConfig: {gcsSource: {inputUri: 'gs://texts/glossary.csv'}},
  }});
  const [created] = await op.promise();
  assert.equal(created.name, name);
  assert.ok(created.entryCount > 300);
}

// readable are the options of a call whose operation may end with an error. Over REST this client
// cannot read an Operation whose error has details, since the protos that it carries have no
// google.rpc.ErrorInfo (googleapis/google-cloud-node#3531), and gives up with an error of its
// own. Code and message are all that gax would keep of it: a response mask asks for no more.
const readable = transport === 'rest'
  ? {otherArgs: {headers: {'x-goog-fieldmask': 'name,done,metadata,response,error.code,error.message'}}} : {};

// start starts a batch that writes below a prefix of its own.
let started = 0;
async function start(client, {uri = 'gs://texts/octateuch.txt', by = glossary, options = {}} = {}) {
  const [op] = await client.batchTranslateText({
    parent: location, sourceLanguageCode: 'en', targetLanguageCodes: ['de'],
    inputConfigs: [{gcsSource: {inputUri: uri}}],
    outputConfig: {gcsDestination: {outputUriPrefix: `gs://out/${++started}/`}},
    glossaries: {de: {glossary: by}},
  }, options);
  assert.ok(op.name.startsWith(`${location}/operations/`), op.name);
  return op;
}

function translated(result) {
  assert.equal(Number(result.totalCharacters), characters);
  assert.equal(Number(result.translatedCharacters), characters);
  assert.ok(result.endTime);
}

// inTheMiddle waits for progress events until some of the text is translated.
async function inTheMiddle(op) {
  for (;;) {
    const [metadata] = await once(op, 'progress');
    const n = Number(metadata.translatedCharacters);
    assert.ok(n < characters, `${n} characters are translated`);
    if (n > 0) {
      assert.equal(Number(metadata.totalCharacters), characters);
      return;
    }
  }
}

async function survive(op) {
  const waiting = op.promise();
  await inTheMiddle(op);
  console.log('middle');
  const [result] = await waiting;
  translated(result);
}

const scenarios = {
  async wait(client) {
    const [result, metadata, raw] = await (await start(client)).promise();
    translated(result);
    assert.ok(raw.done);
    assert.equal(metadata.state, 2); // SUCCEEDED
  },

  async glossaries(client) {
    const second = `${location}/glossaries/second`;
    await createGlossary(client, second);
    const [listed] = await client.listGlossaries({parent: location, pageSize: 1}); // of two pages
    assert.deepEqual(listed.map(g => g.name), [glossary, second]);
    const [op] = await client.deleteGlossary({name: second});
    const [gone] = await op.promise();
    assert.equal(gone.name, second);
    assert.equal((await rejected(client.getGlossary({name: second}))).code, 5);
  },

  // The starting call itself fails: that error gax gives whole.
  async unknown(client) {
    const none = `${location}/glossaries/none`;
    const err = await rejected(start(client, {by: none}));
    assert.equal(err.code, 5, err.stack);
    assert.equal(err.reason, 'GLOSSARY_NOT_FOUND');
    assert.equal(err.domain, 'translate.googleapis.com');
    assert.equal(err.errorInfoMetadata.resource, none);
    assert.ok(err.statusDetails.some(d => d.resourceName === none), JSON.stringify(err.statusDetails));
  },

  // Of an operation's error gax keeps code and message; the operation has the rest, over gRPC.
  async fails(client) {
    const op = await start(client, {uri: 'gs://texts/none.txt', options: readable});
    const err = await rejected(op.promise());
    assert.equal(err.code, 5, err.stack);
    assert.equal(err.message, 'gs://texts/none.txt does not exist');
    if (transport === 'rest') return;
    const [got] = await client.getOperation({name: op.name});
    assert.deepEqual(got.error.details.map(d => d.type_url.split('.').pop()), ['ErrorInfo', 'ResourceInfo']);
  },

  // Another client goes on with the name of an operation.
  async resume(client) {
    const op = await start(client);
    const other = connect();
    const again = await other.checkBatchTranslateTextProgress(op.name);
    assert.equal(again.name, op.name);
    const [result] = await again.promise();
    translated(result);
  },

  async cancel(client) {
    const op = await start(client, {options: readable});
    const waiting = rejected(op.promise());
    await inTheMiddle(op);
    await client.cancelOperation({name: op.name});
    const err = await waiting;
    assert.equal(err.code, 1, err.stack);
    const [got] = await client.getOperation({name: op.name}, readable);
    assert.equal(got.error.code, 1);
    assert.equal(err.message, got.error.message); // the operation's, not of a call
  },

  // Whoever reads "middle" kills the server, and starts it again. gax polls with the settings of
  // the call that has started the operation; this one is not idempotent and so tries nothing
  // again. A user whose promise() shall outlast a server that is away says so when starting it.
  async killed(client) {
    const backoff = gax.createBackoffSettings(100, 1.3, 5000, 20_000, 1, 20_000, 150_000);
    const op = await start(client, {options: {retry: gax.createRetryOptions([14], backoff)}}); // UNAVAILABLE
    await survive(op);
  },

  // The same without any setting, for an operation that is followed by its name: then gax polls
  // with the settings of GetOperation, which tries UNAVAILABLE again for a minute.
  async followed(client) {
    const op = await start(client);
    await survive(await client.checkBatchTranslateTextProgress(op.name));
  },
};

const client = connect();
await createGlossary(client, glossary);
for (const name of names) await scenarios[name](client);
process.exit(0); // gax keeps idle connections open
