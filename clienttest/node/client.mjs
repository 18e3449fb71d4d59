// The clients under test, put together as the generated client of an API puts them
// together: our protos, gax's settings, its OperationsClient and its long-running calls.
import fs from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import gax from 'google-gax';
import {PassThroughClient} from 'google-auth-library';

const here = path.dirname(fileURLToPath(import.meta.url));
const includes = [path.join(here, '../../proto'), path.join(here, 'node_modules/google-gax/build/protos')];

const {protobuf} = gax;

// loadProtos returns the descriptors of our services, and of all that they import, in the JSON
// form that generated clients carry.
function loadProtos() {
  const root = new protobuf.Root();
  root.resolvePath = (origin, target) => {
    if (path.isAbsolute(target)) return target;
    const dir = includes.find(dir => fs.existsSync(path.join(dir, target)));
    return dir ? path.join(dir, target) : null; // null: built in
  };
  root.loadSync(['google/longrunning/operations.proto', 'google/rpc/error_details.proto',
    'google/protobuf/struct.proto', 'longrun/v1/simulator.proto', 'longrun/v1/dispatcher.proto']);
  return root.resolveAll().toJSON();
}

// The bindings that the service config of an API has, for its REST client.
const httpRules = [
  {selector: 'google.longrunning.Operations.ListOperations', get: '/v1/{name=projects/*}/operations'},
  {selector: 'google.longrunning.Operations.GetOperation', get: '/v1/{name=projects/*/operations/*}'},
  {selector: 'google.longrunning.Operations.CancelOperation', post: '/v1/{name=projects/*/operations/*}:cancel', body: '*'},
  {selector: 'google.longrunning.Operations.DeleteOperation', delete: '/v1/{name=projects/*/operations/*}'},
];

const config = {interfaces: {'longrun.v1.Simulator': {
  retry_codes: {non_idempotent: []},
  retry_params: {default: {
    initial_retry_delay_millis: 100, retry_delay_multiplier: 1.3, max_retry_delay_millis: 1000,
    initial_rpc_timeout_millis: 120000, rpc_timeout_multiplier: 1, max_rpc_timeout_millis: 120000, total_timeout_millis: 240000,
  }},
  methods: {Simulate: {timeout_millis: 120000, retry_codes_name: 'non_idempotent', retry_params_name: 'default'}},
}}};

// transports are how a client is told where the server is.
const transports = {
  grpc: address => ({
    module: gax,
    options: {...split(address), sslCreds: new gax.GrpcClient().grpc.credentials.createInsecure(), fallback: false},
  }),
  // With validateStatus fetch behaves as its standard says, and leaves an error to gax, which
  // reads Google's envelope. By default gaxios throws first, with the HTTP status as the code.
  rest: address => ({
    module: gax.fallback,
    options: {
      ...split(address), protocol: 'http', fallback: true, numericEnums: true, minifyJson: true,
      authClient: new PassThroughClient({transporterOptions: {validateStatus: () => true}}),
    },
  }),
};

function split(address) {
  const [host, port] = address.split(':');
  return {servicePath: host, apiEndpoint: host, port: Number(port)};
}

// connect returns a client of the server: its operations, and simulate, which starts one
// and returns gax's handle of it. responseType is what its responses are.
export async function connect(transport, address, responseType = 'google.protobuf.Empty') {
  const {module, options} = transports[transport](address);
  const json = loadProtos();
  const root = module.protobufFromJSON(json);
  const gaxGrpc = new module.GrpcClient(options);
  const lro = {auth: gaxGrpc.auth, grpc: gaxGrpc.grpc};
  if (options.fallback) Object.assign(lro, {protoJson: root, httpRules});
  const operations = module.lro(lro).operationsClient(options);

  const [response, metadata] = [responseType, 'longrun.v1.OperationMetadata'].map(name => root.lookupType(name));
  const descriptor = new module.LongrunningDescriptor(operations, response.decode.bind(response), metadata.decode.bind(metadata));
  const settings = gaxGrpc.constructSettings('longrun.v1.Simulator', config, {}, {'x-goog-api-client': 'gl-node/test'});
  const stub = await gaxGrpc.createStub(options.fallback
    ? gaxGrpc.loadProtoJSON(json).lookupService('longrun.v1.Simulator')
    : gaxGrpc.loadProtoJSON(json).longrun.v1.Simulator, options);
  const call = module.createApiCall(Promise.resolve(stub.simulate.bind(stub)), settings.simulate, descriptor, options.fallback);
  return {
    operations, root,
    simulate: async request => (await call(request))[0],
    close() { operations.close(); stub.close(); },
  };
}
