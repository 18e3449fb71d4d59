// What the clients are asked to do, one function each. Every one gets the transport
// and the address, and fails by throwing.
import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {connect} from './client.mjs';

const seconds = n => ({seconds: n});
const parentOf = () => `projects/${randomUUID()}`;

// rejected returns the error of a promise.
async function rejected(promise) {
  try {
    await promise;
  } catch (err) {
    return err;
  }
  return assert.fail('no error, want one');
}

// missing checks the error of an operation that is not there: code, and what gax makes
// of its ErrorInfo.
function missing(err, name) {
  assert.equal(err.code, 5, err.stack);
  assert.equal(err.reason, 'OPERATION_NOT_FOUND');
  assert.equal(err.domain, 'longrun.dev');
  assert.equal(err.errorInfoMetadata.resource, name);
}

export const scenarios = {
  async get(client) {
    const op = await client.simulate({parent: parentOf(), runDuration: seconds(60)});
    const [got] = await client.operations.getOperation({name: op.name});
    assert.equal(got.name, op.name);
    assert.ok(!got.done);
    assert.match(got.metadata.type_url, /longrun\.v1\.OperationMetadata$/);
    const unknown = `${parentOf()}/operations/01900000-0000-7000-8000-000000000000`;
    missing(await rejected(client.operations.getOperation({name: unknown})), unknown);
  },

  async list(client) {
    const parent = parentOf();
    const started = [];
    for (let i = 0; i < 5; i++) started.unshift((await client.simulate({parent})).name);
    const pages = [];
    let request = {name: parent, pageSize: 2};
    while (request) {
      const [page, next] = await client.operations.listOperations(request, {autoPaginate: false});
      pages.push(page.map(op => op.name));
      request = next;
    }
    assert.deepEqual(pages, [started.slice(0, 2), started.slice(2, 4), started.slice(4)]);
    const streamed = [];
    for await (const op of client.operations.listOperationsAsync({name: parent, pageSize: 2})) streamed.push(op.name);
    assert.deepEqual(streamed, started);
    assert.deepEqual(await client.operations.listOperations({name: parentOf()}).then(([page]) => page), []);
  },

  async wait(client) {
    let seen = [];
    // A busy machine polls less often: then the work takes longer.
    for (let duration = 3; seen.length < 2 && duration < 30; duration *= 2) {
      const op = await client.simulate({parent: parentOf(), runDuration: seconds(duration), progressSteps: 6});
      seen = [];
      op.on('progress', metadata => seen.push(Number(metadata.progress?.completedUnits ?? 0)));
      const [result, metadata, raw] = await op.promise();
      assert.ok(result && raw.done);
      assert.ok(metadata.endTime);
    }
    assert.ok(seen.length >= 2, `progress events: ${seen}, want two at least`);
    assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
  },

  async response(client) {
    const Duration = client.root.lookupType('google.protobuf.Duration');
    const response = {type_url: 'type.googleapis.com/google.protobuf.Duration', value: Duration.encode({seconds: 90}).finish()};
    const op = await client.simulate({parent: parentOf(), response});
    const [result] = await op.promise();
    assert.equal(Number(result.seconds), 90);
  },

  async cancel(client) {
    const op = await client.simulate({parent: parentOf(), runDuration: seconds(60)});
    await op.cancel();
    const err = await rejected(op.promise());
    assert.equal(err.code, 1, err.stack);
    await op.cancel(); // of a done operation
  },

  async delete(client) {
    const op = await client.simulate({parent: parentOf(), runDuration: seconds(60)});
    await client.operations.deleteOperation({name: op.name});
    missing(await rejected(client.operations.getOperation({name: op.name})), op.name);
    missing(await rejected(client.operations.deleteOperation({name: op.name})), op.name);
  },

  async error(client) {
    const ErrorInfo = client.root.lookupType('google.rpc.ErrorInfo');
    const info = {reason: 'SHELF_FULL', domain: 'library.example.com', metadata: {shelf: '7'}};
    const details = [{type_url: 'type.googleapis.com/google.rpc.ErrorInfo', value: ErrorInfo.encode(info).finish()}];
    const op = await client.simulate({parent: parentOf(), error: {code: 9, message: 'the shelf is full', details}});
    const err = await rejected(op.promise());
    assert.equal(err.code, 9, err.stack);
    assert.equal(err.message, 'the shelf is full');
    // gax keeps code and message alone; the operation has the rest.
    const [got] = await client.operations.getOperation({name: op.name});
    assert.equal(got.error.details.length, 1);
    const detail = ErrorInfo.toObject(ErrorInfo.decode(got.error.details[0].value));
    assert.deepEqual(detail, info);
  },

  // The starting call itself fails: that error gax gives whole.
  async refused(client) {
    const err = await rejected(client.simulate({parent: parentOf(), startError: {code: 9, message: 'the shelf is full'}}));
    assert.equal(err.code, 9, err.stack);
    assert.match(err.message, /the shelf is full/);
    assert.equal(err.reason, 'OPERATION_FAILED');
    assert.equal(err.domain, 'longrun.dev');
  },

  async mask(client) {
    const op = await client.simulate({parent: parentOf()});
    await op.promise();
    const headers = {'x-goog-fieldmask': 'name,done'};
    const [got] = await client.operations.getOperation({name: op.name}, {otherArgs: {headers}});
    assert.equal(got.name, op.name);
    assert.ok(got.done && !got.metadata && !got.response);
  },
};

const [, , transport, address, scenario] = process.argv;
const types = {response: 'google.protobuf.Duration'};
const client = await connect(transport, address, types[scenario]);
await scenarios[scenario](client);
client.close();
process.exit(0); // gax keeps idle connections open
