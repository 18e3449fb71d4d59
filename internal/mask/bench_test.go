package mask

import (
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const benchMask = "operations(name,done,metadata(name,timeout),error(code,message)),nextPageToken"

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(benchMask); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApply prunes a page of 100 operations; BenchmarkClone and BenchmarkJSON
// are what copying all of it costs, and what writing it costs afterwards.
func BenchmarkApply(b *testing.B) {
	page, m := hundred(b), must(b, benchMask)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Apply(page, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClone(b *testing.B) {
	page := hundred(b)
	b.ReportAllocs()
	for b.Loop() {
		proto.Clone(page)
	}
}

func BenchmarkJSON(b *testing.B) {
	page := hundred(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protojson.Marshal(page); err != nil {
			b.Fatal(err)
		}
	}
}

func hundred(b *testing.B) *longrunningpb.ListOperationsResponse {
	b.Helper()
	page := fixture(b)
	known := page.Operations[:4]
	page.Operations = nil
	for range 25 {
		page.Operations = append(page.Operations, known...)
	}
	return page
}
