package longrun

import (
	"context"
	"errors"
	"strconv"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/longrun-dev/longrun/filter"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Filter compiles an AIP-160 filter over operations as Proto renders them, for
// Query.Where and for whoever judges operations by hand. It is what List does
// with ListRequest.Filter; docs/filter.md has the language. A filter that is none
// is INVALID_ARGUMENT with field "filter" (FLT-44, FLT-45). A blank one matches
// everything (FLT-01).
func (s *Service) Filter(text string) (*filter.Filter, error) {
	f, err := s.compile(text)
	return f, s.fault("", Name{}, err)
}

func (s *Service) compile(text string) (*filter.Filter, error) {
	schema, err := s.filterSchema()
	if err != nil {
		return nil, err
	}
	f, err := schema.Compile(text)
	if wrong, ok := errors.AsType[*filter.Error](err); ok {
		return nil, filterError(wrong)
	}
	return f, err
}

// filterError says what is wrong with a filter, and where: position, token and
// field are in the message and in the ErrorInfo (FLT-44, ERR-06).
func filterError(wrong *filter.Error) error {
	info := map[string]string{"column": strconv.Itoa(wrong.Column)}
	if wrong.Token != "" {
		info["token"] = wrong.Token
	}
	if wrong.Path != "" {
		info["path"] = wrong.Path
	}
	return &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidFilter, Field: "filter", Msg: "filter, " + wrong.Error(), info: info}
}

// filterSchema returns the schema of filters. It is made again after a method was
// added, whose messages filters are checked against.
func (s *Service) filterSchema() (*filter.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filters != nil {
		return s.filters, nil
	}
	schema, err := filter.NewSchema((&longrunningpb.Operation{}).ProtoReflect().Descriptor(), filter.Options{
		Types: s.opts.Types, Promised: s.promisedLocked(), Text: []string{"name", "error.message", "metadata"},
	})
	s.filters = schema
	return schema, err
}

// promisedLocked returns what the payloads of operations are said to be: by us,
// by the methods that are handled here, and by the operation_info of every service
// that is linked in.
func (s *Service) promisedLocked() map[string][]protoreflect.MessageType {
	promised := map[string][]protoreflect.MessageType{}
	add := func(path string, messages ...proto.Message) {
		for _, m := range messages {
			promised[path] = append(promised[path], m.ProtoReflect().Type())
		}
	}
	add("metadata", &longrunpb.OperationMetadata{})
	add("response", &longrunpb.CommandResponse{})
	add("error.details", &errdetails.ErrorInfo{}, &errdetails.BadRequest{}, &errdetails.ResourceInfo{}, &errdetails.RetryInfo{},
		&errdetails.PreconditionFailure{}, &errdetails.QuotaFailure{}, &errdetails.RequestInfo{}, &errdetails.LocalizedMessage{}, &errdetails.Help{})
	for _, m := range s.methods {
		if m.metadata != nil {
			if md := m.metadata(); !isAny(md) {
				add("metadata", md)
			}
		}
		if resp, err := emptyAny(m.promise.Response).UnmarshalNew(); err == nil {
			add("response", resp)
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		promiseByServices(file, promised)
		return true
	})
	return promised
}

// promiseByServices adds what the operation_info of a file's methods says.
func promiseByServices(file protoreflect.FileDescriptor, promised map[string][]protoreflect.MessageType) {
	for i := range file.Services().Len() {
		methods := file.Services().Get(i).Methods()
		for j := range methods.Len() {
			options, ok := methods.Get(j).Options().(*descriptorpb.MethodOptions)
			if !ok || !proto.HasExtension(options, longrunningpb.E_OperationInfo) {
				continue
			}
			info := proto.GetExtension(options, longrunningpb.E_OperationInfo).(*longrunningpb.OperationInfo)
			for path, name := range map[string]string{"metadata": info.GetMetadataType(), "response": info.GetResponseType()} {
				if m := promisedType(file, name); m != nil {
					promised[path] = append(promised[path], m)
				}
			}
		}
	}
}

// promisedType finds a message by its full name, or by its name in the package of
// file. Any and Struct promise no fields, so they are left out: a field that
// nothing has stays an error.
func promisedType(file protoreflect.FileDescriptor, name string) protoreflect.MessageType {
	for _, full := range []protoreflect.FullName{file.Package().Append(protoreflect.Name(name)), protoreflect.FullName(name)} {
		if m, err := protoregistry.GlobalTypes.FindMessageByName(full); err == nil {
			switch m.Descriptor().FullName() {
			case "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value":
				return nil
			}
			return m
		}
	}
	return nil
}

// A page of a filtered list is read in batches, so that a filter which matches
// next to nothing costs a bounded time, and the page comes back short (PAG-04).
const (
	// firstFilterBatch and maxFilterBatch are how many operations a batch judges
	// at most; each is twice as large as the one before.
	firstFilterBatch = 64
	maxFilterBatch   = 512
	// filterScan is how many rows a batch reads at most.
	filterScan = 1024
	// maxFilterBatches is how many batches a page may take.
	maxFilterBatches = 20
	// maxFilterTime is how long a page may take; less where the caller has less.
	maxFilterTime = time.Second
)

// filteredPage is a page of what q lists and q.Where matches. The store may leave
// out what cannot match; what does is judged here, on what callers see.
func (s *Service) filteredPage(ctx context.Context, q Query) (Page, error) {
	f := filtering{s: s, limit: q.Limit, where: q.Where}
	stop := time.Now().Add(maxFilterTime)
	if deadline, ok := ctx.Deadline(); ok {
		stop = earlier(stop, time.Now().Add(time.Until(deadline)/2))
	}
	q.Limit, q.Scan = max(firstFilterBatch, min(q.Limit+1, maxFilterBatch)), filterScan
	for batch := 1; ; batch++ {
		got, err := s.store.List(ctx, q)
		if err != nil {
			return Page{}, err
		}
		full, err := f.judge(got.Operations)
		if err != nil || full {
			return f.page, err
		}
		f.page.Next, f.page.More = got.Next, got.More
		if !got.More || len(f.page.Operations) == f.limit || batch == maxFilterBatches || !time.Now().Before(stop) {
			return f.page, nil
		}
		q.After, q.Limit = got.Next, min(2*q.Limit, maxFilterBatch)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// filtering fills one page.
type filtering struct {
	s     *Service
	where *filter.Filter
	limit int
	page  Page
	bytes int
}

// judge takes the operations that match into the page. It reports that one more
// matched than the page may hold.
func (f *filtering) judge(ops []*Operation) (full bool, err error) {
	for _, op := range ops {
		ok, err := f.where.Match(f.s.Proto(op))
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		f.bytes += renderedBytes(op)
		if n := len(f.page.Operations); n == f.limit || n > 0 && f.bytes > MaxPageBytes {
			last := f.page.Operations[n-1]
			f.page.Next, f.page.More = Cursor{CreateTime: last.CreateTime, ID: last.ID}, true
			return true, nil
		}
		f.page.Operations = append(f.page.Operations, op)
	}
	return false, nil
}
