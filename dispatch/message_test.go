package dispatch_test

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// pack packs a message that can be packed.
func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

// sized is a payload of so many bytes on the wire, or a few less.
func sized(n int) *anypb.Any { return text(strings.Repeat("x", n-80)) }

// Durations that nobody can mean.
var (
	negative = durationpb.New(-1)
	endless  = &durationpb.Duration{Seconds: 1 << 60}
	torn     = &durationpb.Duration{Seconds: 1, Nanos: -1}
)
