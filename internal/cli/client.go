package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun/internal/server"
)

// serverEnv names the server when --server does not: the variable of that flag.
const serverEnv = "LONGRUN_SERVER"

const (
	callTimeout  = 30 * time.Second // of a call that does not wait for anything
	reconnectMax = time.Second      // between two attempts to reach a server
	retryPause   = 100 * time.Millisecond

	pingIdle    = 20 * time.Second // a connection that is silent for so long is asked whether it is there
	pingTimeout = 10 * time.Second // and given up after that
)

// connection is what a client speaks through: a grpc.ClientConn, or a web.
type connection interface {
	grpc.ClientConnInterface
	io.Closer
}

// client speaks to one server.
type client struct {
	addr   string // a host and a port, or a URL
	conn   connection
	ops    longrunningpb.OperationsClient
	types  *types
	learnt *jsonTypes // what JSON has told of types; nil where there is none, over gRPC

	listens func(addr string) bool // whether anything does
}

// serverFlag adds --server to a command.
func serverFlag(cmd *cobra.Command) {
	cmd.Flags().String("server", "", fmt.Sprintf("address of the server, HOST:PORT or http://HOST:PORT (default %s)", server.DefaultGRPC))
}

// dial prepares to speak to the server that the flags, the environment or the
// default names. It does not connect.
func (a *app) dial(cmd *cobra.Command) (*client, error) {
	addr, err := cmd.Flags().GetString("server")
	if err != nil {
		return nil, err
	}
	addr = cmp.Or(addr, server.DefaultGRPC)
	if err := checkAddress(addr); err != nil {
		return nil, err
	}
	if isWeb(addr) {
		w := newWeb(addr)
		return newClient(w.addr, w, w.learnt), nil
	}
	conn, err := grpc.NewClient("dns:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A network that has swallowed a connection without a word would else be
		// noticed by the kernel alone, after a quarter of an hour.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingIdle, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: retryPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnectMax},
			MinConnectTimeout: 3 * time.Second,
		}))
	if err != nil {
		return nil, usageProblem(fmt.Sprintf("%q is not the address of a server", addr), "an address is a host and a port, such as "+server.DefaultGRPC)
	}
	return newClient(addr, conn, nil), nil
}

func newClient(addr string, conn connection, learnt *jsonTypes) *client {
	c := &client{addr: addr, conn: conn, ops: longrunningpb.NewOperationsClient(conn), types: newTypes(conn), learnt: learnt, listens: listens}
	c.types.learnt = learnt
	return c
}

func checkAddress(addr string) error {
	if isWeb(addr) {
		return checkURL(addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil && host != "" && port != "" && !strings.ContainsAny(addr, "/ ") {
		return nil
	}
	hint := "an address is a host and a port, such as " + server.DefaultGRPC
	if err != nil && pasteable(addr) && !strings.ContainsAny(addr, ":/") {
		_, port, _ := net.SplitHostPort(server.DefaultGRPC)
		hint = "name its port: --server " + net.JoinHostPort(addr, port)
	}
	return usageProblem(fmt.Sprintf("%q is not the address of a server", addr), hint)
}

// close ends the connection.
func (c *client) close() {
	_ = c.conn.Close() // nothing is lost with it: every call was answered or given up
}

// call makes one call that waits for nothing.
func (c *client) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}

// retry makes an idempotent call until the server has answered it or ctx ends. It
// rides through a restart of the server. away, if not nil, hears each failure.
func (c *client) retry(ctx context.Context, away func(error), f func(context.Context, ...grpc.CallOption) error) error {
	for {
		err := c.call(ctx, func(ctx context.Context) error { return f(ctx, grpc.WaitForReady(true)) })
		if err == nil || !passes(err) || ctx.Err() != nil {
			return err
		}
		if away != nil {
			away(err)
		}
		pause(ctx, retryPause)
	}
}

// passes reports whether the same call may well work later.
func passes(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// ctxEnded reports whether a call ended because its context did.
func ctxEnded(err error) bool {
	return status.Code(err) == codes.Canceled || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// reasonOf returns the reason in the ErrorInfo of a call's error, "" if it has
// none. Errors of ours always have one, those of the connection never.
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// explain turns the error of a call about an operation into what people read. verb
// is the command's name, name the operation's, or "".
func (c *client) explain(err error, verb, name string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*problem](err); ok {
		return err
	}
	st := status.Convert(err)
	switch {
	case st.Code() == codes.Unavailable && reasonOf(err) == "":
		return c.noServer(st)
	case st.Code() == codes.NotFound && name != "":
		return &problem{msg: fmt.Sprintf("operation %q not found", name),
			hint: "finished operations are kept for 30 days unless the server was told otherwise; see what there is with: " + c.line("list")}
	case st.Code() == codes.InvalidArgument && name != "":
		return &problem{msg: fmt.Sprintf("%q is not the name of an operation: %s", name, violation(st)), hint: c.nameHint(verb, name), exit: exitUsage}
	case st.Code() == codes.InvalidArgument && reasonOf(err) != "":
		return &problem{msg: violation(st), hint: cmp.Or(bodyHints[reasonOf(err)], fieldHint(st, verb)), exit: exitUsage}
	case st.Code() == codes.Unimplemented && reasonOf(err) == "":
		return &problem{msg: fmt.Sprintf("%s is no longrun server: it does not know the call", c.addr), hint: c.notOurs()}
	case st.Code() == codes.DeadlineExceeded && reasonOf(err) == "":
		return &problem{msg: fmt.Sprintf("the server at %s has not answered within %v", c.addr, callTimeout)}
	}
	return &problem{msg: cmp.Or(st.Message(), st.Code().String()), hint: reasonHints[reasonOf(err)]}
}

const notOurs = "is it the gRPC address of a longrun server? name another with --server"

func (c *client) notOurs() string {
	if isWeb(c.addr) {
		return notOurWeb
	}
	return notOurs
}

// reasonHints says what to do about errors that the server has named.
var reasonHints = map[string]string{
	"OVERLOADED":  "the server has more to do than it can; try again in a moment",
	"UNAVAILABLE": "the server is there and cannot use its store now; its log says why",
	"INTERNAL":    "the server's log says why, under that id",

	"HOST_NOT_ALLOWED":        "whoever runs the server can allow the name: longrun serve --allow-host NAME",
	"UNKNOWN_PATH":            otherPaths,
	"HTTP_METHOD_NOT_ALLOWED": otherPaths,
	reasonProxy:               "what is before the server says that it is away, or that there is no room; try again in a moment",
}

const otherPaths = "its service configuration has the call under another path, or not at all; its gRPC address knows all calls"

// bodyHints says the same of requests whose JSON the server does not take.
var bodyHints = map[string]string{
	"UNKNOWN_FIELD": unknownToServer,
	"INVALID_BODY":  unknownToServer,
}

const unknownToServer = "the server reads the JSON: it may not know the type, or not as it is written here"

// fieldHint names the flag that a field of a request comes from.
func fieldHint(st *status.Status, verb string) string {
	for _, d := range st.Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok || len(bad.GetFieldViolations()) == 0 {
			continue
		}
		flag := strings.ReplaceAll(bad.GetFieldViolations()[0].GetField(), "_", "-")
		switch {
		case flag == "labels":
			flag = "label"
		case flag == "name" && verb == "list":
			flag = "parent"
		}
		return fmt.Sprintf("it is what --%s says; see: longrun %s --help", flag, verb)
	}
	return "see: longrun " + verb + " --help"
}

// listens reports whether a connection can be made to the address.
func listens(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close() // it was only tried
	return true
}

// violation says what is wrong with a field of a request, without the verb that the
// message begins with.
func violation(st *status.Status) string {
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) > 0 {
			return bad.GetFieldViolations()[0].GetDescription()
		}
	}
	return st.Message()
}

// noServer says that nobody answers at the address.
func (c *client) noServer(st *status.Status) error {
	if c.listens(hostPort(c.addr)) {
		return &problem{msg: fmt.Sprintf("something listens at %s, and does not answer as a server does: %s", c.addr, st.Message()), hint: c.notOurs()}
	}
	p := &problem{msg: fmt.Sprintf("no server at %s", c.addr), hint: "name another with --server or " + serverEnv}
	if !strings.Contains(st.Message(), "refused") {
		p.msg += ": " + st.Message()
	}
	if hint := beginHint(c.addr); hint != "" {
		p.hint = hint
	}
	return p
}

// line returns a command for the same server that can be pasted.
func (c *client) line(words ...string) string {
	words = append([]string{"longrun"}, words...)
	if c.addr != server.DefaultGRPC {
		words = append(words, "--server", c.addr)
	}
	return pasteLine(words...)
}

// nameHint says how the name of an operation is written.
func (c *client) nameHint(verb, name string) string {
	const form = "a name is operations/ID or PARENT/operations/ID"
	if name == "" || strings.Contains(name, "/") || !pasteable(name) {
		return form + "; see what there is with: " + c.line("list")
	}
	if verb == "get" || verb == "wait" {
		if line := c.line(verb, "operations/"+name); line != "" {
			return form + "; try: " + line
		}
	}
	return form + "; did you mean operations/" + name + "?"
}
