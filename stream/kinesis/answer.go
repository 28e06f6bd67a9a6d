package kinesis

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A syntax is what the content type of a request asks for.
type syntax uint8

const (
	syntaxNone  syntax = iota // none that the API has: errors are written in XML
	syntaxJSON                // JSON 1.1
	syntaxCBOR                //
	syntaxCoral               // application/json: JSON 1.1, but errors before an operation are in an envelope
)

const typePlainJSON = "application/json"

func syntaxOf(r *http.Request) syntax {
	name, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case typeJSON:
		return syntaxJSON
	case typeCBOR:
		return syntaxCBOR
	case typePlainJSON:
		return syntaxCoral
	}
	return syntaxNone
}

// An answer writes what goes back to the client, in the syntax of its request.
type answer struct {
	w      http.ResponseWriter
	syntax syntax
	sent   bool // some of it may be on its way
}

func (a *answer) format() format {
	if a.syntax == syntaxCBOR {
		return formatCBOR
	}
	return formatJSON
}

// identify sets the headers that every answer has. A preflight has no second id.
func (a *answer) identify(r *http.Request) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	h := a.w.Header()
	h["x-amzn-RequestId"] = []string{fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])}
	if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" {
		var second [72]byte
		_, _ = rand.Read(second[:])
		h["x-amz-id-2"] = []string{base64.StdEncoding.EncodeToString(second[:])}
	}
}

// decode reads the input of an operation and looks at its constraints.
func (a *answer) decode(o *operation, body []byte) (any, error) {
	if a.syntax != syntaxCBOR && o.decodeJSON != nil {
		if in, ok := o.decodeJSON(body); ok && (o.valid == nil || o.valid(in)) {
			return in, nil
		}
	}
	var t tokens = newJSONTokens(body)
	if a.syntax == syntaxCBOR {
		t = newCBORTokens(body)
	}
	in, err := decode(t, o.input)
	if err != nil {
		return nil, err
	}
	if failure := validate(o.input, in); failure != nil {
		return nil, failure
	}
	return in, nil
}

// encode writes the output of an operation.
func (a *answer) encode(dst []byte, o *operation, out any) []byte {
	switch {
	case o.output == nil:
		return dst
	case a.syntax != syntaxCBOR && o.appendJSON != nil:
		return o.appendJSON(dst, out)
	}
	return a.format().append(dst, o.output, out)
}

// fail writes an exception.
func (a *answer) fail(e *Error) {
	switch {
	case a.syntax == syntaxNone && e.Message == "":
		_ = a.write(e.Status(), []byte("<"+e.Code+"/>\n"))
	case a.syntax == syntaxNone:
		_ = a.write(e.Status(), []byte("<"+e.Code+">\n  <Message>"+escapeXML(e.Message)+"</Message>\n</"+e.Code+">\n"))
	case a.syntax == syntaxCoral && (e.Code == "UnknownOperationException" || e.Code == "SerializationException"):
		inner := e.namespaced()
		_ = a.write(e.Status(), append(append([]byte(`{"Output":`), formatJSON.appendError(nil, inner)...), `,"Version":"1.0"}`...))
	default:
		_ = a.write(e.Status(), a.format().appendError(nil, e))
	}
}

func (e *Error) namespaced() *Error {
	inner := *e
	inner.Code = "com.amazon.coral.service#" + e.Code
	return &inner
}

func escapeXML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// write sends an answer whole. After an error the connection may still read the body: that
// of HTTP/2 does, when the client resets a stream in the middle of it.
func (a *answer) write(status int, body []byte) error {
	a.sent = true
	h := a.w.Header()
	switch a.syntax {
	case syntaxJSON:
		h.Set("Content-Type", typeJSON)
	case syntaxCBOR:
		h.Set("Content-Type", typeCBOR)
	case syntaxCoral:
		h.Set("Content-Type", typePlainJSON)
	default:
		h["Content-Type"] = nil // net/http would guess one
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	// A recorder in a test has no deadlines.
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(answerWrite))
	a.w.WriteHeader(status)
	_, err := a.w.Write(body)
	return err
}
