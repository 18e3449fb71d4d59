package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// maxRequestText limits the JSON of a request. What it stands for may have 3 MiB.
const maxRequestText = 16 << 20

// starter is what start was asked for.
type starter struct {
	method, request, requestID   string
	parent, metadata             string
	conflictKey                  once
	onConflict                   string
	labels                       []string
	execution                    time.Duration
	maxFailures                  int32
	atMostOnce, validate, andEnd bool
	timeout                      time.Duration
}

func (a *app) startCmd() *cobra.Command {
	var s starter
	cmd := &cobra.Command{
		Use:   "start --method METHOD [flags]",
		Short: "Start an operation",
		Long: `Start an operation that the workers of a method do, and show it.

The request is a JSON object, @FILE or - for standard input. Its "@type" names its
type, one that the server knows; without it, it is a google.protobuf.Struct. Ctrl-C
ends a --wait, and not the operation.`,
		Example: `  longrun start --method resize --request '{"width": 64}'
  longrun start --method resize --request @request.json --label team=blue --wait`,
		Args:                  exactly(0, "no arguments"),
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return a.start(cmd, &s) },
	}
	f := cmd.Flags()
	f.StringVar(&s.method, "method", "", "what is to be done: a word, or a gRPC method /pkg.Service/Method")
	f.StringVar(&s.request, "request", "", "the request: JSON, @FILE, or - for standard input")
	f.StringVar(&s.requestID, "request-id", "", "a UUID4; again with the same one starts nothing new (default a new one)")
	f.StringVar(&s.parent, "parent", "", "the resource that the operation lives under")
	f.StringArrayVar(&s.labels, "label", nil, "a label, `KEY=VALUE`; may be repeated")
	f.Var(&s.conflictKey, "conflict-key", "no two operations with the same key run at a time")
	f.StringVar(&s.onConflict, "on-conflict", "queue", "when the key is held: queue, reject or preempt")
	f.DurationVar(&s.execution, "execution-timeout", 0, "how long all runs together may take; 0 for as long as it takes")
	f.Int32Var(&s.maxFailures, "max-failures", 0, "how many runs may fail, `N`; 0 lets the server choose")
	f.BoolVar(&s.atMostOnce, "at-most-once", false, "never run it a second time")
	f.StringVar(&s.metadata, "metadata", "", "the first metadata, like the request (default longrun.v1.OperationMetadata)")
	f.BoolVar(&s.validate, "validate-only", false, "check everything and start nothing")
	f.BoolVar(&s.andEnd, "wait", false, "wait for the end, show it, and exit as longrun wait does")
	f.DurationVar(&s.timeout, "timeout", 0, "with --wait: how long to wait; 0 for as long as it takes")
	outputFlag(cmd)
	serverFlag(cmd)
	return cmd
}

// once is the value of a flag that may be given once.
type once struct {
	value string
	given bool
}

var _ pflag.Value = (*once)(nil)

// String returns the value.
func (o *once) String() string { return o.value }

// Type is that of a string.
func (o *once) Type() string { return "string" }

// Set refuses a second value.
func (o *once) Set(s string) error {
	if o.given {
		return errors.New("an operation has one conflict key")
	}
	o.value, o.given = s, true
	return nil
}

func (a *app) start(cmd *cobra.Command, s *starter) error {
	form, err := form(cmd)
	if err != nil {
		return err
	}
	req, err := s.build()
	if err != nil {
		return err
	}
	c, err := a.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	if req.Request, err = a.payload(ctx, c, "--request", s.request); err != nil {
		return err
	}
	if req.Metadata, err = a.payload(ctx, c, "--metadata", s.metadata); err != nil {
		return err
	}
	op, err := c.start(ctx, req)
	if err != nil {
		return c.explainStart(err)
	}
	if s.validate {
		a.talk("the request is as it should be; nothing was started")
	}
	if !s.andEnd || s.validate {
		return a.printOperation(ctx, c, form, op)
	}
	a.talk("operation %q started", op.GetName())
	return a.follow(cmd, c, form, op.GetName(), s.timeout)
}

// build checks the flags, all but the payloads.
func (s *starter) build() (*longrunpb.StartOperationRequest, error) {
	switch {
	case s.method == "":
		return nil, usageProblem("--method names no method", `for example: longrun start --method resize --request '{"width": 64}'`)
	case s.timeout < 0:
		return nil, usageProblem("--timeout must not be negative", "without a limit: --timeout 0")
	case s.timeout > 0 && !s.andEnd:
		return nil, usageProblem("--timeout needs --wait", "how long the operation may run: --execution-timeout "+s.timeout.String())
	case s.execution < 0:
		return nil, usageProblem("--execution-timeout must not be negative", "without a limit: --execution-timeout 0")
	case s.conflictKey.given && s.conflictKey.value == "":
		return nil, usageProblem("--conflict-key is empty", "an operation without a conflict key conflicts with nothing")
	case s.request == "-" && s.metadata == "-":
		return nil, usageProblem("--request and --metadata cannot both be read from standard input", "name a file: --metadata @FILE")
	}
	req := &longrunpb.StartOperationRequest{
		Parent: s.parent, Method: s.method, RequestId: s.requestID, ValidateOnly: s.validate,
		ConflictKey: s.conflictKey.value, MaxFailures: s.maxFailures, AtMostOnce: s.atMostOnce,
	}
	if req.RequestId == "" {
		req.RequestId = uuid.NewString()
	}
	if s.execution > 0 {
		req.ExecutionTimeout = durationpb.New(s.execution)
	}
	var err error
	if req.OnConflict, err = s.policy(); err != nil {
		return nil, err
	}
	req.Labels, err = parseLabels(s.labels)
	return req, err
}

// policies are the words of --on-conflict.
var policies = []string{"queue", "reject", "preempt"}

func (s *starter) policy() (longrunpb.ConflictPolicy, error) {
	switch s.onConflict {
	case "queue":
		return longrunpb.ConflictPolicy_CONFLICT_POLICY_UNSPECIFIED, nil // the same, and no key is needed for it
	case "reject", "preempt":
		if !s.conflictKey.given {
			return 0, usageProblem("--on-conflict "+s.onConflict+" needs --conflict-key", "name what the operation must not share: --conflict-key KEY")
		}
		return longrunpb.ConflictPolicy(longrunpb.ConflictPolicy_value[strings.ToUpper(s.onConflict)]), nil
	}
	return 0, usageProblem(fmt.Sprintf("--on-conflict %q is not known", s.onConflict), "the policies are: "+strings.Join(policies, ", "))
}

// parseLabels reads KEY=VALUE. What else a label must be the server says.
func parseLabels(words []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			return nil, usageProblem(fmt.Sprintf("--label %q is not KEY=VALUE", w), "for example: --label team=blue")
		}
		if _, twice := labels[key]; twice {
			return nil, usageProblem(fmt.Sprintf("--label %s is given twice", key), "a key has one value")
		}
		labels[key] = value
	}
	return labels, nil
}

// payload returns what a flag says in JSON, nil if it says nothing. Types that are
// not linked in are asked of the server.
func (a *app) payload(ctx context.Context, c *client, flag, text string) (*anypb.Any, error) {
	if text == "" {
		return nil, nil
	}
	raw, err := a.text(flag, text)
	if err != nil {
		return nil, err
	}
	if c.learnt != nil {
		c.learnt.learnPayload(raw) // over HTTP it is the server that makes a message of it
	} else {
		for _, url := range typesIn(raw) {
			c.types.learnName(ctx, url)
		}
	}
	payload, err := fromJSON(raw, c.types)
	if unknown, ok := errors.AsType[*unknownType](err); ok {
		if status.Code(c.types.deaf) == codes.Unavailable {
			return nil, c.explain(c.types.deaf, "start", "")
		}
		p := &problem{msg: fmt.Sprintf("%s: the server at %s does not know the type %q", flag, c.addr, unknown.url),
			hint: "start it with the type: longrun serve --descriptor-set FILE"}
		if c.types.deaf != nil {
			p.msg = fmt.Sprintf("%s: the server at %s does not say what the type %q is", flag, c.addr, unknown.url)
		}
		return nil, p
	}
	if err != nil {
		return nil, usageProblem(flag+": "+err.Error(), `for example: `+flag+` '{"width": 64}', or `+flag+` @FILE`)
	}
	return payload, nil
}

// text is what a flag says: itself, what is in @FILE, or for "-" standard input.
func (a *app) text(flag, text string) ([]byte, error) {
	var from io.Reader
	switch path, isFile := strings.CutPrefix(text, "@"); {
	case isFile:
		f, err := os.Open(path)
		if err != nil {
			return nil, usageProblem(fmt.Sprintf("%s: %v", flag, err), "name a file with JSON: "+flag+" @FILE")
		}
		defer f.Close()
		from = f
	case text == "-":
		from = a.in
	default:
		from = strings.NewReader(text)
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxRequestText+1))
	switch {
	case err != nil:
		return nil, usageProblem(fmt.Sprintf("%s: %v", flag, err), "name a file with JSON: "+flag+" @FILE")
	case len(raw) > maxRequestText:
		return nil, usageProblem(flag+": the JSON is larger than 16 MiB", "put a reference to the data into the request")
	}
	return raw, nil
}

// start starts an operation. A server that is not there at the beginning is not
// there; later the call rides through a restart, and the request id makes sure that a
// reply that was lost has started nothing twice.
func (c *client) start(ctx context.Context, req *longrunpb.StartOperationRequest) (op *longrunningpb.Operation, err error) {
	work := longrunpb.NewDispatcherClient(c.conn)
	call := func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		op, err = work.StartOperation(ctx, req, opts...)
		return err
	}
	if !c.reached(ctx) {
		err = c.call(ctx, func(ctx context.Context) error { return call(ctx) })
		return op, err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err = c.retry(ctx, nil, call)
	return op, err
}

// reached waits until the server was reached, or could not be.
func (c *client) reached(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	switch conn := c.conn.(type) {
	case *web:
		return conn.reach(ctx)
	case *grpc.ClientConn:
		return connected(ctx, conn)
	}
	return false
}

func connected(ctx context.Context, conn *grpc.ClientConn) bool {
	conn.Connect()
	for {
		switch state := conn.GetState(); state {
		case connectivity.Ready:
			return true
		case connectivity.TransientFailure, connectivity.Shutdown:
			return false
		default:
			if !conn.WaitForStateChange(ctx, state) {
				return false
			}
			conn.Connect()
		}
	}
}

// explainStart explains why nothing was started.
func (c *client) explainStart(err error) error {
	p, ok := errors.AsType[*problem](c.explain(err, "start", ""))
	if !ok {
		return err
	}
	switch {
	case reasonOf(err) == "CONCURRENT_OPERATION":
		p.hint = "another operation holds the conflict key; wait for it with --on-conflict queue"
	case status.Code(err) == codes.ResourceExhausted && reasonOf(err) == "":
		p.hint = "a request has 3 MiB at most; put a reference to the data into it"
	}
	return p
}
