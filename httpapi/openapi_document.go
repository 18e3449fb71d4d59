package httpapi

// What an OpenAPI 3.0 document is made of. The fields are named as they are in
// https://spec.openapis.org/oas/v3.0.3, and there is no more of them than is used.
type (
	apiDocument struct {
		OpenAPI    string                              `json:"openapi"`
		Info       apiInfo                             `json:"info"`
		Paths      map[string]map[string]*apiOperation `json:"paths"`
		Components apiComponents                       `json:"components"`
	}

	apiInfo struct {
		Title   string `json:"title"`
		Version string `json:"version"`
	}

	apiComponents struct {
		Schemas    apiSchemas              `json:"schemas"`
		Parameters map[string]apiParameter `json:"parameters"`
		Responses  map[string]apiResponse  `json:"responses"`
	}

	apiOperation struct {
		OperationID string                 `json:"operationId"`
		Summary     string                 `json:"summary,omitempty"`
		Tags        []string               `json:"tags"`
		Parameters  []apiParameter         `json:"parameters,omitempty"`
		RequestBody *apiBody               `json:"requestBody,omitempty"`
		Responses   map[string]apiResponse `json:"responses"`
	}

	apiParameter struct {
		Ref         string     `json:"$ref,omitempty"`
		Name        string     `json:"name,omitempty"`
		In          string     `json:"in,omitempty"`
		Description string     `json:"description,omitempty"`
		Required    bool       `json:"required,omitempty"`
		Schema      *apiSchema `json:"schema,omitempty"`
	}

	// A body is never required: absent, it is an empty object (QRY-10).
	apiBody struct {
		Content map[string]apiMedia `json:"content"`
	}

	apiResponse struct {
		Ref         string              `json:"$ref,omitempty"`
		Description string              `json:"description,omitempty"`
		Content     map[string]apiMedia `json:"content,omitempty"`
	}

	apiMedia struct {
		Schema *apiSchema `json:"schema"`
	}

	apiSchema struct {
		Ref                  string                `json:"$ref,omitempty"`
		AllOf                []*apiSchema          `json:"allOf,omitempty"`
		Type                 string                `json:"type,omitempty"`
		Format               string                `json:"format,omitempty"`
		Description          string                `json:"description,omitempty"`
		Enum                 []string              `json:"enum,omitempty"`
		Pattern              string                `json:"pattern,omitempty"`
		ReadOnly             bool                  `json:"readOnly,omitempty"`
		Required             []string              `json:"required,omitempty"`
		Properties           map[string]*apiSchema `json:"properties,omitempty"`
		Items                *apiSchema            `json:"items,omitempty"`
		AdditionalProperties any                   `json:"additionalProperties,omitempty"` // *apiSchema, or true
	}
)

// inJSONContent is the content of a body or a reply.
func inJSONContent(s *apiSchema) map[string]apiMedia {
	return map[string]apiMedia{"application/json": {Schema: s}}
}

// refTo refers to a schema of the document.
func refTo(name string) *apiSchema { return &apiSchema{Ref: "#/components/schemas/" + name} }

// errorSchema is the name of the envelope's schema. No message has it, as none of
// ours is without a package.
const errorSchema = "Error"

// newErrorSchema describes the envelope (ERR-20).
func newErrorSchema() *apiSchema {
	return &apiSchema{Type: "object", Required: []string{"error"}, Properties: map[string]*apiSchema{
		"error": {Type: "object", Required: []string{"code", "message", "status"}, Properties: map[string]*apiSchema{
			"code":    {Type: "integer", Format: "int32", Description: "The HTTP status."},
			"message": {Type: "string", Description: "For developers."},
			"status":  {Type: "string", Description: "The name of the google.rpc.Code."},
			"details": {Type: "array", Items: anySchema()},
		}},
	}}
}

// anySchema describes a google.protobuf.Any.
func anySchema() *apiSchema {
	return &apiSchema{Type: "object", Required: []string{"@type"}, AdditionalProperties: true,
		Properties: map[string]*apiSchema{"@type": {Type: "string", Description: "The URL of the message's type."}}}
}
