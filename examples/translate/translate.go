package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Translate is the method: its name, and the types of its request, its response
// and its metadata.
var Translate = longrun.Method[*wrapperspb.StringValue, *wrapperspb.StringValue, *longrunpb.OperationMetadata]{
	Name: "/translation.v1.Translator/Translate",
}

// translate translates line by line. What a run has translated is remembered, so
// that a run after a crash goes on where the last one was.
func translate(ctx context.Context, req *wrapperspb.StringValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.StringValue, error) {
	lines := strings.Split(req.GetValue(), "\n")
	translated := make([]string, len(lines))
	for i, line := range lines {
		result, err := longrun.StepResult(ctx, run, fmt.Sprintf("line-%d", i), func(context.Context) (*wrapperspb.StringValue, error) {
			return translateLine(line)
		})
		if err != nil {
			return nil, err
		}
		translated[i] = result.GetValue()
		run.Update(func(m *longrunpb.OperationMetadata) {
			m.Progress = &longrunpb.Progress{CompletedUnits: int64(i + 1), TotalUnits: int64(len(lines)), Phase: "translating"}
		})
	}
	return wrapperspb.String(strings.Join(translated, "\n")), nil
}

var german = map[string]string{
	"good": "guten", "day": "tag", "the": "das", "house": "haus", "is": "ist", "big": "gross", "small": "klein",
}

// translateLine translates word by word. A word that it does not know ends the
// operation with the Status that is returned, as it is.
func translateLine(line string) (*wrapperspb.StringValue, error) {
	words := strings.Fields(line)
	for i, word := range words {
		known, ok := german[word]
		if !ok {
			return nil, status.Errorf(codes.InvalidArgument, "there is no translation of %q", word)
		}
		words[i] = known
	}
	return wrapperspb.String(strings.Join(words, " ")), nil
}
