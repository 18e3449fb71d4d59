package longrun

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// complete fills in what is known of the method, and the parent first of all.
func (s *Service) complete(r *StartRequest) error {
	if r.Request.GetTypeUrl() == "" && len(r.Request.GetValue()) == 0 {
		r.Request = nil // absent
	}
	m := s.method(r.Method)
	if r.message == nil {
		r.promise = s.promise(r.Method)
	}
	if m != nil && r.message == nil {
		req, err := m.decode(r.Request)
		if err != nil {
			return fieldError("request", "request is not of the type that the method takes")
		}
		if r.Request.GetTypeUrl() == "" {
			if r.Request, err = pack(req); err != nil {
				return fieldError("request", "request cannot be encoded")
			}
		}
		r.within = "request."
		r.message, r.parent, r.key = req, m.parent, m.conflictKey
		r.policy = &m.policy
	}
	given := r.Parent
	if r.parent != nil {
		r.Parent = r.parent(r.message)
	}
	if given != "" && given != r.Parent {
		return fieldError("parent", "parent is not the one that the request names")
	}
	if r.Metadata != nil {
		if a, err := pack(present(r.Metadata)); err != nil || !keeps(r.promise.Metadata, a) {
			return otherMetadata("metadata")
		}
	}
	if p := r.policy; p != nil {
		if r.ExecutionTimeout == 0 {
			r.ExecutionTimeout = p.executionTimeout
		}
		if r.MaxFailures == 0 {
			r.MaxFailures = p.maxFailures
		}
		r.AtMostOnce = r.AtMostOnce || p.atMostOnce
		if r.ConflictKey == "" && r.key != nil {
			if key := r.key(r.message); key != "" {
				r.ConflictKey, r.OnConflict = key, p.onConflict
			}
		}
	}
	if r.MaxFailures == 0 {
		r.MaxFailures = DefaultMaxFailures
	}
	return nil
}

// validate checks everything but what the hook may still change.
func (r *StartRequest) validate() error {
	if err := checkMethod(r.Method); err != nil {
		return fieldError("method", "method "+err.Error())
	}
	if err := checkParent(r.Parent); err != nil {
		return err
	}
	if r.RequestID != "" {
		id, err := uuid.Parse(r.RequestID)
		if err != nil || len(r.RequestID) != 36 || id.Version() != 4 {
			return fieldError("request_id", "request_id must be a UUID4")
		}
		r.RequestID = id.String()
	}
	switch {
	case proto.Size(r.Request) > MaxRequestBytes:
		return tooLarge("request", "request is larger than 3 MiB")
	case anyDepth(r.Request, MaxAnyDepth) > MaxAnyDepth:
		return fieldError("request", "request holds an Any in an Any too deep")
	case r.ExecutionTimeout < 0 || r.ExecutionTimeout > MaxExecutionTimeout:
		return fieldError("execution_timeout", "execution_timeout must be from 0 to ten years")
	case r.MaxFailures < 0 || r.MaxFailures > MaxFailuresLimit:
		return fieldError("max_failures", "max_failures must be from 0 to 1000")
	case !r.OnConflict.Valid():
		return fieldError("on_conflict", "on_conflict is unknown")
	case r.OnConflict != Queue && r.ConflictKey == "":
		return fieldError("on_conflict", "on_conflict needs a conflict_key")
	case !r.Session.IsZero() && r.In != nil:
		return fieldError("session", "an operation that a session starts cannot be part of a transaction")
	}
	return nil
}

// required checks that the request has the fields that its type requires.
func (r *StartRequest) required() error {
	if r.message == nil {
		return nil // of a method that is not known here, or malformed
	}
	return checkRequired(r.message.ProtoReflect(), r.within)
}

// checkCaller checks the name under which somebody starts an operation. It comes
// from whoever authenticates, so a bad one is no fault of the request.
func checkCaller(caller string) error {
	if len(caller) > MaxCallerBytes || !utf8.ValidString(caller) {
		return errors.New("the name of the caller is too long or not valid UTF-8")
	}
	return nil
}

// apply puts what the starter and the hook have said into op, checked.
func (d *Draft) apply(op *Operation) error {
	switch {
	case len(d.ConflictKey) > MaxConflictKeyBytes:
		return fieldError("conflict_key", "conflict_key is longer than 1024 bytes")
	case !utf8.ValidString(d.ConflictKey):
		return fieldError("conflict_key", "conflict_key is not valid UTF-8")
	case d.ConflictKey != "" && op.Pinned:
		return fieldError("conflict_key", "conflict_key and session exclude each other")
	case !d.OnConflict.Valid():
		return fieldError("on_conflict", "on_conflict is unknown")
	}
	op.ConflictKey, op.OnConflict = d.ConflictKey, d.OnConflict
	if err := checkLabels(d.Labels); err != nil {
		return err
	}
	if len(d.Labels) > 0 {
		op.Labels = d.Labels
	}
	for _, s := range []struct{ field, value string }{{"target", d.Target}, {"verb", d.Verb}, {"api_version", d.APIVersion}} {
		if len(s.value) > MaxTargetBytes || !utf8.ValidString(s.value) {
			return fieldError(s.field, s.field+" is too long or not valid UTF-8")
		}
	}
	metadata, err := firstMetadata(d)
	if err != nil {
		return err
	}
	if metadata != nil && !keeps(d.promise, metadata) {
		return otherMetadata("metadata")
	}
	op.Metadata = metadata
	return checkMetadata(metadata)
}

// checkMethod checks the name of a method. Its error is a verb phrase.
func checkMethod(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("is required")
	case len(s) > MaxMethodBytes:
		return fmt.Errorf("is longer than %d bytes", MaxMethodBytes)
	}
	if strings.HasPrefix(s, "/") {
		service, name, ok := strings.Cut(s[1:], "/")
		if !ok || !validWord(service, "._") || !validWord(name, "_") {
			return fmt.Errorf("is not a gRPC method")
		}
		return nil
	}
	if !validWord(s, "._-") {
		return fmt.Errorf("is neither a gRPC method nor a word")
	}
	return nil
}

// validWord reports whether s is letters, digits and the other characters only.
func validWord(s, other string) bool {
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(other, c)) {
			return false
		}
	}
	return s != ""
}

// checkLabels holds labels to AIP-148: at most 64; keys begin with a lower-case
// letter; keys and values are lower-case letters of any script, digits, "_" and
// "-", at most 63 characters.
func checkLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return fieldError("labels", "there are more than 64 labels")
	}
	for k, v := range labels {
		first, _ := utf8.DecodeRuneInString(k)
		if !unicode.IsLetter(first) || !validLabel(k) {
			return labelError(map[string]string{"key": shortened(k)},
				fmt.Sprintf("the label's key %q must begin with a lower-case letter and have nothing but "+labelRule, shortened(k)))
		}
		if !validLabel(v) {
			return labelError(map[string]string{"key": k, "value": shortened(v)},
				fmt.Sprintf("the value %q of the label %q must have nothing but "+labelRule, shortened(v), k))
		}
	}
	return nil
}

const labelRule = `lower-case letters, digits, _ and -, and at most 63 of them`

// labelError is a fieldError whose ErrorInfo has what its message repeats (ERR-06).
func labelError(info map[string]string, msg string) error {
	for k, v := range info {
		info[k] = strings.ToValidUTF8(v, "\uFFFD")
	}
	return &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidField, Field: "labels", Msg: msg, info: info}
}

// shortened is what a message repeats of a caller's text.
func shortened(s string) string {
	const most = 80
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "..."
}

func validLabel(s string) bool {
	n := 0
	for _, c := range s {
		n++
		if c == utf8.RuneError || unicode.IsUpper(c) || !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' && c != '-' {
			return false
		}
	}
	return n <= MaxLabelChars
}

// checkMetadata checks metadata that is about to be kept; nil is fine.
func checkMetadata(m *anypb.Any) error {
	switch {
	case m == nil:
		return nil
	case proto.Size(m) > MaxMetadataBytes:
		return tooLarge("metadata", "metadata is larger than 256 KiB")
	case anyDepth(m, MaxAnyDepth) > MaxAnyDepth:
		return fieldError("metadata", "metadata holds an Any in an Any too deep")
	}
	return nil
}

// checkResponse checks a response that is about to be kept, and gives a missing
// one the form that clients understand (OP-04).
func checkResponse(m *anypb.Any) (*anypb.Any, error) {
	switch {
	case m.GetTypeUrl() == "":
		return pack(&emptypb.Empty{})
	case proto.Size(m) > MaxResponseBytes:
		return nil, tooLarge("response", "response is larger than 3 MiB")
	case anyDepth(m, MaxAnyDepth) > MaxAnyDepth:
		return nil, fieldError("response", "response holds an Any in an Any too deep")
	}
	return m, nil
}
