package kinesis_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"freshet/stream/kv"
	"freshet/stream/vfs"
)

const (
	jsonType  = "application/x-amz-json-1.1"
	plainType = "application/json"
)

// A sent is a request as bytes and headers, signed well enough for a server that does
// not check.
type sent struct {
	method, path, target, contentType string
	header                            map[string]string // "" removes one
	body                              string
}

// send makes a request. Its method is POST and its path / where it does not say otherwise.
func (r *rig) send(q sent) *httptest.ResponseRecorder {
	if q.method == "" {
		q.method = http.MethodPost
	}
	if q.path == "" {
		q.path = "/"
	}
	req := httptest.NewRequest(q.method, "http://localhost"+q.path, strings.NewReader(q.body))
	if q.target != "" {
		req.Header.Set("X-Amz-Target", "Kinesis_20131202."+q.target)
	}
	if q.contentType != "" {
		req.Header.Set("Content-Type", q.contentType)
	}
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=abc")
	for name, value := range q.header {
		if req.Header.Del(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

// plain prints CBOR as JSON.
func plain(t testing.TB, body string) string {
	t.Helper()
	var fields map[string]string
	if err := cbor.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatalf("%x: %v", body, err)
	}
	out := `{"__type":"` + fields["__type"] + `"`
	for _, label := range []string{"message", "Message"} {
		if m, ok := fields[label]; ok {
			out += `,"` + label + `":"` + m + `"`
		}
	}
	return out + "}"
}

// TestAnswersInFrontOfOperations wants what the service says to requests that reach none.
func TestAnswersInFrontOfOperations(t *testing.T) {
	const (
		unknown  = `{"__type":"UnknownOperationException"}`
		unread   = `{"__type":"SerializationException"}`
		denied   = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"
		envelope = `{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}`
	)
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	for _, c := range []struct {
		name       string
		sent       sent
		status     int
		answerType string
		answer     string
	}{
		{"GET", sent{method: "GET"}, 403, "", denied},
		{"OPTIONS without Origin", sent{method: "OPTIONS"}, 403, "", denied},
		{"PUT of an operation", sent{method: "PUT", target: "ListStreams", contentType: jsonType, body: "{}"}, 403, "", denied},
		{"nothing at all", sent{}, 400, cborType, unknown},
		{"only a body", sent{body: "{}"}, 403, "", denied},
		{"no content type", sent{target: "ListStreams", body: "{}"}, 404, "", "<UnknownOperationException/>\n"},
		{"another content type", sent{target: "ListStreams", contentType: "text/plain", body: "{}"}, 404, "", "<UnknownOperationException/>\n"},
		{"no body, no content type", sent{target: "ListStreams"}, 400, cborType, unread},
		{"no body", sent{target: "ListStreams", contentType: jsonType}, 400, jsonType, unread},
		{"no target", sent{contentType: jsonType, body: "{}"}, 400, jsonType, unknown},
		{"no such operation", sent{target: "Nothing", contentType: jsonType, body: "{}"}, 400, jsonType, unknown},
		{"no such operation in CBOR", sent{target: "Nothing", contentType: cborType, body: "\xa0"}, 400, cborType, unknown},
		{"no such operation in plain JSON", sent{target: "Nothing", contentType: plainType, body: "{}"}, 404, plainType, envelope},
		{"another service", sent{contentType: jsonType, body: "{}", header: map[string]string{"X-Amz-Target": "DynamoDB_20120810.ListTables"}}, 400, jsonType, unknown},
		{"a body that is no JSON", sent{target: "ListStreams", contentType: jsonType, body: "hello"}, 400, jsonType, unread},
		{"a body that is no CBOR", sent{target: "ListStreams", contentType: cborType, body: "\xa1"}, 400, cborType, unread},
		{"a list", sent{target: "ListStreams", contentType: jsonType, body: "[]"}, 400, jsonType, unread},
		{"JSON 1.1", sent{target: "ListStreams", contentType: jsonType, body: "{}"}, 200, jsonType, `{"StreamNames":[],"HasMoreStreams":false}`},
		{"with a charset", sent{target: "ListStreams", contentType: "Application/X-Amz-JSON-1.1; charset=utf-8", body: "{}"}, 200, jsonType, `{"StreamNames":[],"HasMoreStreams":false}`},
		{"plain JSON", sent{target: "ListStreams", contentType: plainType, body: "{}"}, 200, plainType, `{"StreamNames":[],"HasMoreStreams":false}`},
		{"CBOR", sent{target: "ListStreams", contentType: cborType, body: "\xa0"}, 200, cborType, "\xa2kStreamNames\x80nHasMoreStreams\xf4"},
		{"another path", sent{path: "/x/y?z", target: "ListStreams", contentType: jsonType, body: "{}"}, 200, jsonType, `{"StreamNames":[],"HasMoreStreams":false}`},
		{"no such operation, no signature", sent{target: "Nothing", contentType: jsonType, body: "{}", header: map[string]string{"Authorization": ""}}, 400, jsonType, unknown},
		{"no signature", sent{target: "ListStreams", contentType: jsonType, body: "{}", header: map[string]string{"Authorization": ""}}, 400, jsonType,
			`{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`},
		{"an operation on channels", sent{target: "ListChannels", contentType: jsonType, body: `{"MaxResults":1}`}, 400, jsonType,
			`{"__type":"AccessDeniedException","message":"Channel operations are not available for account 000000000000 in region us-east-1."}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := r.send(c.sent)
			got := w.Body.String()
			if c.answerType == cborType && c.status != 200 {
				got = plain(t, got)
			}
			if w.Code != c.status || got != c.answer || w.Header().Get("Content-Type") != c.answerType {
				t.Errorf("got %d %s %s\nwant %d %s %s", w.Code, w.Header().Get("Content-Type"), got, c.status, c.answerType, c.answer)
			}
		})
	}
}

// idsOf are the headers that name an answer, in the service's spelling.
func idsOf(h map[string][]string) []string { return append(h["x-amzn-RequestId"], h["x-amz-id-2"]...) }

// TestHeaders wants the headers that every answer has, and those for browsers.
func TestHeaders(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	id := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	second := regexp.MustCompile(`^[A-Za-z0-9+/]{96}$`)
	list := sent{target: "ListStreams", contentType: jsonType, body: "{}"}
	for _, q := range []sent{list, {method: "GET"}, {target: "ListStreams", contentType: jsonType, body: "["}} {
		h := r.send(q).Result().Header
		if ids := idsOf(h); len(ids) != 2 || !id.MatchString(ids[0]) || !second.MatchString(ids[1]) {
			t.Errorf("%v: got the ids %q", q, ids)
		}
		if h.Get("Content-Length") == "" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: got %v", q, h)
		}
	}
	list.header = map[string]string{"Origin": "https://example.com"}
	h := r.send(list).Result().Header
	want(t, "Allow-Origin", h.Get("Access-Control-Allow-Origin"), "*")
	want(t, "Expose-Headers", h.Get("Access-Control-Expose-Headers"), "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date")

	w := r.send(sent{method: "OPTIONS", header: map[string]string{"Origin": "https://example.com", "Authorization": "",
		"Access-Control-Request-Headers": "x-amz-target, authorization", "Access-Control-Request-Method": "POST"}})
	h = w.Result().Header
	want(t, "preflight", words(w.Code, w.Body.Len(), len(idsOf(h))), "200 0 1")
	want(t, "Allow-Origin", h.Get("Access-Control-Allow-Origin"), "*")
	want(t, "Allow-Headers", h.Get("Access-Control-Allow-Headers"), "x-amz-target, authorization")
	want(t, "Allow-Methods", h.Get("Access-Control-Allow-Methods"), "POST")
	want(t, "Max-Age", h.Get("Access-Control-Max-Age"), "172800")
}

// TestVoidOperationsAnswerWithNothing, in every syntax.
func TestVoidOperationsAnswerWithNothing(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	create := func(name string) map[string]any { return object{"StreamName": name, "ShardCount": 1} }
	body, err := cbor.Marshal(create("b"))
	if err != nil {
		t.Fatal(err)
	}
	for contentType, body := range map[string]string{jsonType: `{"StreamName":"a","ShardCount":1}`, cborType: string(body)} {
		w := r.send(sent{target: "CreateStream", contentType: contentType, body: body})
		if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") != contentType || w.Header().Get("Content-Length") != "0" {
			t.Errorf("got %d %q %v", w.Code, w.Body, w.Header())
		}
	}
}

// TestAPanicIsAnswered wants a server's failure for a request that panics, and no more.
func TestAPanicIsAnswered(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	req := request(context.Background(), "ListStreams", "{}")
	req.Body = panics{}
	req.ContentLength = 2
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	want(t, "the answer", words(w.Code, w.Body.String()), `500 {"__type":"InternalFailure"}`)
}

type panics struct{}

func (panics) Read([]byte) (int, error) { panic("a defect") }
func (panics) Close() error             { return nil }
