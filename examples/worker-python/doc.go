// Package workerpython tests the worker beside it, which is written in Python
// (README.md): a client of longrun.v1.Dispatcher that shares no code with the
// server. The tests build and start the real server, kill both sides, and count
// what goes over the wire.
//
//	go -C examples test ./worker-python
//
// They need Python 3 with grpcio and protobuf, as Debian's python3-grpcio brings it
// (or PYTHON names an interpreter that has them). Without, they are skipped and say
// so; where CI=true they fail instead.
package workerpython
