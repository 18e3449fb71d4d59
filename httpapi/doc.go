// Package httpapi serves gRPC services as HTTP/JSON, by their google.api.http rules:
//
//	web, err := httpapi.New(httpapi.Options{Config: config})
//	...
//	grpcapi.Register(web, svc, grpcapi.Options{}) // as with a grpc.Server
//	pb.RegisterTranslationServiceServer(web, translation)
//	if err := web.Check(); err != nil {
//		return err // a rule is wrong
//	}
//	server := &http.Server{Handler: web, ReadHeaderTimeout: 10 * time.Second}
//	return server.Serve(web.Listener(l))
//
// A [Handler] is a grpc.ServiceRegistrar. It finds the descriptors of what is
// registered, and calls the handlers in this process, with interceptors of its own:
// nothing is generated and nothing is dialled.
//
// # Routes
//
// A method has the routes of its annotation in the proto file. A [ServiceConfig]
// replaces them: of several rules for a method the last one wins, a rule without a
// path takes the method's routes away, and one that lists
// google.longrunning.Operations among its apis serves what it binds of that and
// nothing else ([ServiceConfig.Off]). Without rules of a configuration, operations
// also have a path below any parent, and WaitOperation has one at all:
//
//	GET    /v1/{name=operations}       /v1/{name=**}/operations
//	GET    /v1/{name=operations/**}    /v1/{name=**/operations/*}
//	DELETE /v1/{name=operations/**}    /v1/{name=**/operations/*}
//	POST   /v1/{name=operations/**}:cancel and :wait, and below any parent
//	GET    /?name=...                  as Google's Go client waits
//
// A template may have one "**", anywhere. Of two that match, the one with more
// literal segments wins, and of as many the one that was registered earlier. Paths
// are never normalised, and nothing is redirected.
//
// GET /openapi.json is an OpenAPI 3.0 document of the routes ([Handler.OpenAPI]),
// unless a route is there.
//
// # Requests
//
// What is not in the path is a query parameter or in the body, as the rule says. An
// unknown parameter or field, one that is given twice, and one that says another
// thing than the path is INVALID_ARGUMENT. System parameters are taken with and
// without their "$": alt (json, json;enum-encoding=int), prettyPrint and fields,
// which is a response mask like the header X-Goog-FieldMask; the others of Google's
// list mean nothing here. The headers of a request are the metadata of the call;
// Grpc-Timeout and X-Server-Timeout are its deadline.
//
// In the JSON of a request, an Any without "@type" is a google.protobuf.Struct.
//
// # Replies
//
// ProtoJSON without default values. An Any that cannot be written, because nobody
// knows its type or its bytes are not of it, is {"@type": URL, "value": base64} and
// fails nothing (JSN-11); a request may say it so, too. Errors are Google's envelope,
// {"error": {"code", "message", "status", "details"}}, with the HTTP statuses of
// google.rpc.Code. Metadata that the handler sends is in the header, its trailer
// with the prefix Grpc-Trailer-. The messages of a server-streaming method are the
// elements of an array, an error after the first is its last; a method that takes a
// stream answers 501.
//
// # Who may ask
//
// A request whose Host is neither loopback nor in Options.Hosts, and one whose Origin
// is foreign, is 403: this keeps web pages from calling a server on the machine of
// whoever looks at them. It is no authentication; that is for an interceptor. What is
// wrong with a request is said behind the interceptors, and only to a caller who may
// make the call, where the service is an [Authorizer] (AUT-02): the order of checks is
// that of section 10 of the spec. A path that nothing is bound to, and a URL or a body
// that is too large, come before all of that.
//
// # Limits
//
// A URL has [MaxURL] bytes and [MaxParameters] parameters, a body [DefaultMaxBody]
// bytes and [MaxDepth] levels, a mask what internal/mask says. How large a header may
// be and how long a client may take is for the http.Server to say. Its ReadTimeout
// is for the request alone: the Handler lifts it when the body has been read. A
// WriteTimeout must be longer than the longest poll. What net/http itself refuses, such
// as a header that is too large or a malformed percent-encoding in a path, no Handler
// sees; [Handler.Listener] puts that into the envelope.
package httpapi
