package main

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// refuse is an error as Google's APIs give it: a Status with an ErrorInfo, whose metadata has
// the values that the message speaks of, and with more details where there are any.
func refuse(code codes.Code, reason, message string, values map[string]string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: values}
	st, err := status.New(code, message).WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		return err
	}
	return st.Err()
}

// badField refuses a request for what is in one of its fields.
func badField(field, message string) error {
	return refuse(codes.InvalidArgument, "INVALID_FIELD", field+": "+message, map[string]string{"field": field},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: message}}})
}

const (
	glossaryType = "translate.googleapis.com/Glossary"
	objectType   = "storage.googleapis.com/Object"
)

// missing is for a resource that is not there.
func missing(reason, kind, name string) error {
	return refuse(codes.NotFound, reason, name+" does not exist", map[string]string{"resource": name},
		&errdetails.ResourceInfo{ResourceType: kind, ResourceName: name, Description: "it does not exist"})
}
