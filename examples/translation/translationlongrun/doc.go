// Package translationlongrun has what protoc-gen-go-longrun makes of
// google.cloud.translation.v3.TranslationService: its long-running methods, a starter for
// the gRPC server, and handles for clients. The messages are Google's own, of
// cloud.google.com/go/translate/apiv3/translatepb; code for another module's package goes into
// one of its own, which this is.
//
//	starter := translationlongrun.HandleTranslationService(svc, translationlongrun.TranslationServiceHandlers{
//		BatchTranslateText: batchTranslateText,
//	})
//	translatepb.RegisterTranslationServiceServer(server, starter)
package translationlongrun

//go:generate ./generate.sh
