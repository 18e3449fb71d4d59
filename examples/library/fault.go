package main

import (
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// fault is an error as AIP-193 wants it: a code, a reason that a program can tell from
// others, the resource, and a text for people. It says the same whether a call returns it
// or an operation ends with it.
func fault(code codes.Code, reason, resource, format string, args ...any) error {
	return detailed(status.Newf(code, format, args...), reason, map[string]string{"resource": resource})
}

// invalid is the error of a field of a request that is not as it must be.
func invalid(field, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return detailed(status.New(codes.InvalidArgument, field+" "+text), "INVALID_FIELD", map[string]string{"field": field},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: text}}})
}

func detailed(st *status.Status, reason string, metadata map[string]string, more ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: metadata}
	with, err := st.WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil {
		return err
	}
	return with.Err()
}

// isFault reports whether err is one of the errors above, and not one of the database.
func isFault(err error) bool {
	_, ok := status.FromError(err)
	return ok && err != nil
}
