package cli

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/longrun-dev/longrun/internal/server"
)

// request says how a call is made: by the first route that fits it.
func (w *web) request(fullMethod string, in proto.Message) (*webRequest, error) {
	md, err := methodOf(fullMethod)
	if err != nil {
		return nil, err
	}
	routes, err := server.HTTPRoutes(md)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "%s: %v", fullMethod, err)
	}
	if len(routes) == 0 {
		return nil, status.Errorf(codes.Unimplemented, "%s has no form in HTTP", fullMethod)
	}
	for _, r := range routes {
		rest := proto.Clone(in)
		path, fits, err := expand(r.Path, rest.ProtoReflect())
		if err != nil {
			return nil, status.Errorf(codes.Internal, "%s: %v", fullMethod, err)
		}
		if fits {
			return w.fill(r, path, rest.ProtoReflect())
		}
	}
	return nil, misfit(routes)
}

// methodOf finds "/package.Service/Method" among what is linked in.
func methodOf(fullMethod string) (protoreflect.MethodDescriptor, error) {
	name := strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	md, ok := found.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		return nil, status.Errorf(codes.Unimplemented, "%s is not known", fullMethod)
	}
	return md, nil
}

// fill puts what the path does not have into the body or the query.
func (w *web) fill(r server.HTTPRoute, path string, rest protoreflect.Message) (*webRequest, error) {
	req := &webRequest{method: r.HTTPMethod, target: path, field: r.ResponseBody}
	if req.method == "*" {
		req.method = http.MethodPost
	}
	var err error
	switch r.Body {
	case "":
	case "*":
		req.body, err = w.marshal(rest.Interface())
		return req, err
	default:
		if req.body, err = w.marshalField(rest, r.Body); err != nil {
			return nil, err
		}
	}
	query := url.Values{}
	if err := w.parameters(query, "", rest); err != nil {
		return nil, err
	}
	if len(query) > 0 {
		req.target += "?" + query.Encode()
	}
	return req, nil
}

// pathVariable is a variable in a path template: {field} or {field=segments}.
var pathVariable = regexp.MustCompile(`\{([^={}]+)(?:=([^{}]*))?\}`)

// expand returns the path of a template for a request, and takes what is in it out
// of the request. It does not fit where a variable's value does not.
func expand(template string, m protoreflect.Message) (path string, fits bool, err error) {
	var taken []func()
	fits = true
	path = pathVariable.ReplaceAllStringFunc(template, func(v string) string {
		parts := pathVariable.FindStringSubmatch(v)
		owner, fd := m, protoreflect.FieldDescriptor(nil)
		for name := range strings.SplitSeq(parts[1], ".") {
			if fd != nil {
				owner = owner.Get(fd).Message()
			}
			if fd = owner.Descriptor().Fields().ByName(protoreflect.Name(name)); fd == nil {
				err = status.Errorf(codes.Internal, "%s has no field %q", owner.Descriptor().FullName(), name)
				return ""
			}
		}
		value, textErr := scalarText(fd, owner.Get(fd))
		if textErr != nil {
			err = textErr
			return ""
		}
		pattern := parts[2]
		if pattern == "" {
			pattern = "*"
		}
		if !matches(pattern, value) {
			fits = false
			return ""
		}
		if owner.Has(fd) {
			taken = append(taken, func() { owner.Clear(fd) })
		}
		return escapePath(value)
	})
	if err != nil || !fits {
		return "", false, err
	}
	for _, clear := range taken {
		clear()
	}
	// A ** of no segments takes its slash with it. No segment is empty else.
	return strings.ReplaceAll(path, "//", "/"), true, nil
}

// matches reports whether a value is of the form of a pattern, such as
// "**/operations/*", which has one ** at most.
func matches(pattern, value string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(value, "/")
	if value == "" {
		got = nil
	}
	for _, segment := range got {
		if !sendable(segment) {
			return false
		}
	}
	for i, w := range want {
		if w == "**" {
			tail := len(want) - i - 1
			return len(got) >= i+tail && matchEach(want[:i], got[:i]) && matchEach(want[i+1:], got[len(got)-tail:])
		}
	}
	return len(got) == len(want) && matchEach(want, got)
}

func matchEach(want, got []string) bool {
	for i := range want {
		if want[i] != "*" && want[i] != got[i] {
			return false
		}
	}
	return true
}

// sendable reports whether a path can have the segment.
func sendable(s string) bool {
	return s != "" && s != "." && s != ".." && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// escapePath escapes all but slashes and what is never escaped. A colon is: it would
// begin a verb.
func escapePath(value string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(value) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// misfit says that no route takes what the path would have to say, as a server says
// it of a field.
func misfit(routes []server.HTTPRoute) error {
	field, forms := "", []string{}
	for _, r := range routes {
		for _, v := range pathVariable.FindAllStringSubmatch(r.Path, -1) {
			field = v[1]
			forms = append(forms, v[2])
		}
	}
	text := field + " must be of the form " + strings.Join(forms, " or ")
	if slices.Contains(forms, "**") {
		text = field + " must be a resource name such as projects/p: no segment is empty, or nothing but dots"
	}
	st := status.New(codes.InvalidArgument, text)
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: "INVALID_PATH", Domain: "longrun.dev"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: text}}},
	}
	if with, err := st.WithDetails(details...); err == nil {
		st = with
	}
	return st.Err()
}
