package longrun

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
)

// ID identifies an operation for all time: a UUIDv7, never issued again
// (NM-02). The zero ID is no operation's.
type ID [16]byte

// NewID returns an ID that nobody has seen before.
func NewID() ID { return ID(uuid.Must(uuid.NewV7())) }

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// String returns id as a UUID in lower case.
func (id ID) String() string { return uuid.UUID(id).String() }

// LogValue returns String, so that logs in JSON do not show an array of bytes.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// SessionID identifies a session: 128 random bits, used once. It is no secret
// and may be logged. The zero SessionID is no session's.
type SessionID [16]byte

// NewSessionID returns a SessionID that nobody has seen before.
func NewSessionID() SessionID { return SessionID(uuid.New()) }

// IsZero reports whether s is the zero SessionID.
func (s SessionID) IsZero() bool { return s == SessionID{} }

// String returns s as a UUID in lower case.
func (s SessionID) String() string { return uuid.UUID(s).String() }

// LogValue returns String, so that logs in JSON do not show an array of bytes.
func (s SessionID) LogValue() slog.Value { return slog.StringValue(s.String()) }

const collection = "operations"

// Name is the resource name of an operation: "operations/ID", or
// "PARENT/operations/ID" (NM-03, NM-04). Names are comparable. The zero Name
// is no operation's.
type Name struct {
	Parent string // may be empty
	ID     ID

	// foreign is the last segment of a well-formed name that is not one of our
	// IDs. Such a name is asked for like any other, and found nowhere (NM-09).
	foreign string
}

// String returns the name as it is on the wire, and "" for the zero Name.
func (n Name) String() string {
	last := n.foreign
	if last == "" {
		if n.ID.IsZero() {
			return ""
		}
		last = n.ID.String()
	}
	if n.Parent == "" {
		return collection + "/" + last
	}
	return n.Parent + "/" + collection + "/" + last
}

// ParseName parses the name of an operation. A name that no server could have
// issued is INVALID_ARGUMENT with field "name" (NM-08, NM-12, GET-05, GET-08).
// A well-formed name that is not one of ours is parsed, and found nowhere.
func ParseName(s string) (Name, error) {
	parent, last, ok := cutLast(s)
	switch {
	case s == "":
		return Name{}, nameError("name is required")
	case len(s) > MaxNameBytes:
		return Name{}, nameError("name is longer than 1024 bytes")
	case !ok:
		return Name{}, nameError("name must end in operations/ID")
	case !validSegment(last) || strings.Contains(last, ":"):
		return Name{}, nameError("the operation's id has characters that no id has")
	case parent == collection:
		parent = ""
	case !strings.HasSuffix(parent, "/"+collection):
		return Name{}, nameError("name must end in operations/ID")
	default:
		parent = strings.TrimSuffix(parent, "/"+collection)
		if parent == "" {
			return Name{}, nameError("name must not begin with a slash")
		}
	}
	if parent != "" && !validParent(parent) {
		return Name{}, nameError("the parent of the name " + parentRule)
	}
	n := Name{Parent: parent}
	if id, err := uuid.Parse(last); err == nil && id.String() == last && len(parent) <= MaxParentBytes {
		n.ID = ID(id)
	}
	if n.ID.IsZero() {
		n.foreign = last
	}
	return n, nil
}

func cutLast(s string) (before, last string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

func nameError(msg string) error {
	return &Error{Code: codes.InvalidArgument, Reason: ReasonInvalidOperationName, Field: "name", Msg: msg}
}

// validParent reports whether s is a relative resource name without wildcards
// that does not end in the collection of operations.
func validParent(s string) bool {
	last := ""
	for last = range strings.SplitSeq(s, "/") {
		if !validSegment(last) {
			return false
		}
	}
	return last != collection
}

// validSegment reports whether s may be one segment of a resource name: the
// characters of a URL path segment that are in no way special, and neither
// ".", ".." nor the wildcard "-" (NM-05). There is one spelling only: names are
// ASCII, so that every name is its own NFC (NM-06).
func validSegment(s string) bool {
	if s == "" || s == "." || s == ".." || s == "-" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~:@+=,!$", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// listParentRule says what ParseListParent wants.
const listParentRule = `must be a resource name such as projects/p: segments of letters, digits and -._~:@+=,!$ between single slashes, or - for any, and the last not the word operations`

// parentRule says what validParent wants.
const parentRule = `must be a resource name such as projects/p: segments of letters, digits and -._~:@+=,!$ between single slashes, none of them . or .. or -, and the last not the word operations`

// checkParent checks the parent of an operation about to be started.
func checkParent(s string) error {
	switch {
	case s == "":
		return nil
	case len(s) > MaxParentBytes:
		return fieldError("parent", fmt.Sprintf("parent is longer than %d bytes", MaxParentBytes))
	case !validParent(s):
		return fieldError("parent", "parent "+parentRule)
	}
	return nil
}

// ParseListParent parses the name field of ListOperations: the parent itself,
// or its collection of operations (LST-03). Segments may be "-" (LST-08), and
// "-" alone means every parent. The result is what Options.Authorize is asked with;
// the error is INVALID_ARGUMENT (LST-06).
func ParseListParent(s string) (string, error) {
	if len(s) > MaxNameBytes {
		return "", nameError("name is longer than 1024 bytes")
	}
	if s == "" || s == collection {
		return "", nil
	}
	s = strings.TrimSuffix(s, "/"+collection)
	last := ""
	for last = range strings.SplitSeq(s, "/") {
		if last != "-" && !validSegment(last) {
			return "", nameError("the parent " + listParentRule)
		}
	}
	if last == collection {
		return "", nameError("the parent " + listParentRule)
	}
	return s, nil
}

// MatchParent reports whether an operation under parent belongs into a list of
// pattern, which is a parent, a parent with "-" for some segments, or "-" for
// every parent. Lists are not recursive (LST-07).
func MatchParent(pattern, parent string) bool {
	if pattern == "-" || pattern == parent {
		return true
	}
	if !HasWildcard(pattern) {
		return false
	}
	for {
		p, prest, pmore := strings.Cut(pattern, "/")
		s, srest, smore := strings.Cut(parent, "/")
		if pmore != smore || p != s && (p != "-" || s == "") {
			return false
		}
		if !pmore {
			return true
		}
		pattern, parent = prest, srest
	}
}

// HasWildcard reports whether a parent has a segment "-".
func HasWildcard(parent string) bool {
	for s := range strings.SplitSeq(parent, "/") {
		if s == "-" {
			return true
		}
	}
	return false
}
