package mask

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What a mask may hold at most; one past any of these is an *Error.
const (
	// MaxBytes is the length of a mask's text.
	MaxBytes = 8 << 10
	// MaxPaths is how many paths a mask has, written out: "a(b,c)" is two.
	MaxPaths = 256
	// MaxDepth is how many segments a path has, written out: "a(b/c)" has three.
	MaxDepth = 32
)

// Reason is the ErrorInfo reason of a mask that is refused, at every door (ERR-04).
const Reason = "INVALID_FIELD_MASK"

// A Mask says what parts of a message are kept. The zero Mask keeps everything.
// It never changes, and is safe for concurrent use.
type Mask struct{ root *node }

// An Error is what is wrong with a mask. Parse and Validate return no other error.
type Error struct {
	// Offset is where, in bytes from the begin of the text.
	Offset int
	// Segment is the segment at fault, cut to 64 bytes; "" if the fault is of
	// another kind. An edge that shows Msg puts it into ErrorInfo.metadata (ERR-06).
	Segment string
	// Msg says what is wrong, and holds nothing of the mask but Segment.
	Msg string
}

// Error says where the mask is wrong, and why.
func (e *Error) Error() string { return fmt.Sprintf("mask: byte %d: %s", e.Offset, e.Msg) }

// A node is what is kept of one value. Nodes never change once parsed.
type node struct {
	offset int              // of the segment that first led here
	whole  bool             // a path ends here
	named  map[string]*node // by field or key, as it was written
	each   *node            // "*"
	bare   bool             // the segment was written without backticks
}

// all reports whether n keeps everything of its value.
func (n *node) all() bool { return n.whole || n.each != nil && n.each.whole }

// All reports whether m keeps everything, so that Apply has nothing to do.
func (m Mask) All() bool { return m.root == nil || m.root.all() }

// String returns the paths of m, sorted, in the dotted form, which Parse reads as
// an equal mask; "*" if m keeps everything.
func (m Mask) String() string {
	if m.All() {
		return "*"
	}
	return strings.Join(m.root.paths(nil, ""), ",")
}

// paths adds the paths below n to those that are there, each behind prefix.
func (n *node) paths(paths []string, prefix string) []string {
	add := func(segment string, child *node) {
		if child.whole {
			paths = append(paths, prefix+segment)
		}
		paths = child.paths(paths, prefix+segment+".")
	}
	if n.each != nil {
		add("*", n.each)
	}
	for _, name := range slices.Sorted(maps.Keys(n.named)) {
		add(quote(name, n.named[name].bare), n.named[name])
	}
	return paths
}

// cut returns the name, or its begin when it is long.
func cut(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most-3], "") + "..."
}

// quote returns the name as a segment. A number without backticks is an index.
func quote(name string, bare bool) string {
	word := strings.IndexFunc(name, func(r rune) bool { return r > 0x7f || !isWord(byte(r)) }) < 0
	if name != "" && word && (bare || !isNumber(name)) {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// isNumber reports whether no field has such a name.
func isNumber(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}
