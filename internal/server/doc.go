// Package server joins the parts into the server that "longrun serve" runs: a
// store, the service on it, a runner, and the gRPC and HTTP faces.
//
//	s, err := server.Open(ctx, server.Options{Simulator: server.On})
//	if err != nil {
//		return err // a *Problem: what is wrong, and what to do about it
//	}
//	fmt.Println("gRPC on", s.GRPCAddr(), "and HTTP/JSON on", s.HTTPAddr())
//	return s.Run(ctx) // serves until ctx ends, then drains
//
// Descriptor sets (Options.DescriptorSets, LoadTypes) add types of payloads to those
// that are linked in. The server moves payloads as bytes and does not need them; its
// reflection tells them to whoever wants to print payloads. What operation_info says of
// a method in them is what its workers have to return (Types.Promised).
//
// It is the only place where the parts meet, so it is also where the command line
// finds what else is done with a store: [Check], [BackupStore] and [BackupServer].
//
// Every service is registered with both faces, so what gRPC has, HTTP/JSON has by its
// rules (package httpapi), or by those of [Options].ServiceConfig. Methods of
// google.longrunning.Operations that a configuration leaves out of the interface are
// switched off in both. HTTP has /healthz and /readyz besides.
//
// # Addresses
//
// There is no authentication yet. So the server listens on loopback only, unless
// [Options].Remote says otherwise: an address is refused that names no host, an IP
// address that is not loopback, or a host that resolves to one (CheckLoopback). What the
// listener is bound to in the end is looked at once more. Over HTTP, a request under a
// foreign Host, or of a web page of a foreign Origin, is refused: else any page could
// call a server on the machine of whoever looks at it. /healthz and /readyz are for
// probes, which ask by any Host.
//
// # Order
//
// It begins in this order: the listeners listen, the store opens, gRPC and HTTP
// serve, the runner runs, health says SERVING. A port that is in use is found before
// the store is touched. The runner comes after the
// listeners, because a server counts its contact with the store by the runner's
// beats, and a worker outside can only beat through a listener: one that was alive
// while the server was away has its full TTL to come back.
//
// It ends in this order: health says NOT_SERVING and /readyz 503; the runner drains,
// which answers whoever waits with the latest state, gives the handlers their grace,
// and releases their runs; gRPC and HTTP finish the calls that are under way, for
// [StopTimeout] at most; the service and the store close. Nothing that was
// acknowledged depends on any of it: the same holds after kill -9.
//
// # Limits
//
// A message is received up to 4 MiB, which fits a payload of 3 MiB with all that
// goes with it. A header has 64 KiB at most. There are at most 4,096 connections on
// each face; one more is turned away at once (door). There are 10,000 calls at a time on
// a gRPC connection, and 50,000 on all, of which 35,000 may be others than those by which
// operations go on and end (admission); beyond, they are UNAVAILABLE before they cost
// anything. A place is given back with the end of its call or its connection, whatever
// that was.
//
// # Slow clients
//
// A client has 10 seconds for a handshake, 30 for a request to arrive, and 20 to take
// what is written to it. Replies of more than 4 KiB are counted until they were written
// (reply.go): with 16 MiB unread, its calls are refused, and after two minutes its
// connection is closed. A client may send a keepalive ping every 10 seconds, and is let
// go when it leaves one of ours, sent after a minute of silence, unanswered for 20
// seconds. An HTTP client has 10 seconds for its header, 30 for its request, and 90 from
// its begin for the reply, of which a wait may take 60; an idle connection is closed
// after 2 minutes. docs/operating.md has all of it in a table.
package server
