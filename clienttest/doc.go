// Package clienttest runs Google's own client libraries, unmodified, against a
// server of ours. It has no code beside its tests, and is a module of its own so
// that the clients' dependencies reach nobody else:
//
//	go -C clienttest test ./...
//
// The client (whose package autogen is called longrunning as well) is made as for any server without authentication on loopback:
//
//	client, err := autogen.NewOperationsClient(ctx,
//		option.WithEndpoint("127.0.0.1:9151"),
//		option.WithoutAuthentication(),
//		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
//	op := longrunning.InternalNewOperation(client, started)
//	err = op.Wait(ctx, resp)
//
// Node's clients are in node/, where scenarios.mjs and translation.mjs have what they are asked to
// do: the tests run them against the built programs. They need Node 18 or later and, once,
//
//	npm --prefix clienttest/node ci
//
// without which its tests are skipped, and fail where CI is set.
//
// The tests of TestTranslation run Google's clients of a whole API, its Translation API, in Go
// and in Node, over gRPC and REST, against examples/translation: a process that they kill in the
// middle of its work and start again. Where a client needs a setting to outlast that, the test
// says which, and why.
//
// Every other test runs a server on a free port of 127.0.0.1, with a SQLite store in a
// directory of its own and a runner, and is bounded in time. The clients poll by
// the real clock, so a test takes a second or two.
package clienttest
