package kinesis_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

var signedNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// guarded is a rig that checks signatures, at a moment that stands still.
func guarded(t testing.TB) *rig {
	return newRig(t, vfs.NewMem(), kv.NewMem(), func(o *kinesis.Options) {
		o.AuthOff, o.Keys = false, []kinesis.AccessKey{{ID: "AKID", Secret: "secret"}, {ID: "OTHER", Secret: "terces"}}
		o.Now = func() time.Time { return signedNow }
	})
}

// A signing is how a request is signed, and what is changed before and afterwards.
type signing struct {
	key, secret, token, region, service string
	at                                  time.Time
	path, body                          string
	header                              map[string]string
	payload                             string // hash; "" is the body's
	presign                             bool
	before, after                       func(*http.Request)
}

// request signs with the SDK's own signer.
func (s signing) request(t testing.TB) *http.Request {
	t.Helper()
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	body := or(s.body, "{}")
	req := httptest.NewRequest(http.MethodPost, "http://localhost:4567"+or(s.path, "/"), strings.NewReader(body))
	req.RequestURI = ""
	req.Header.Set("X-Amz-Target", "Kinesis_20131202.ListStreams")
	req.Header.Set("Content-Type", jsonType)
	for name, value := range s.header {
		req.Header.Set(name, value)
	}
	if s.before != nil {
		s.before(req)
	}
	if s.at.IsZero() {
		s.at = signedNow
	}
	sum := sha256.Sum256([]byte(body))
	payload := or(s.payload, hex.EncodeToString(sum[:]))
	who := aws.Credentials{AccessKeyID: or(s.key, "AKID"), SecretAccessKey: or(s.secret, "secret"), SessionToken: s.token}
	signer := v4.NewSigner()
	if s.presign {
		link, header, err := signer.PresignHTTP(context.Background(), who, req, payload, or(s.service, "kinesis"), or(s.region, "us-east-1"), s.at)
		if err != nil {
			t.Fatal(err)
		}
		if req.URL, err = url.Parse(link); err != nil {
			t.Fatal(err)
		}
		req.Header = header.Clone()
		req.Header.Set("Content-Type", jsonType)
	} else if err := signer.SignHTTP(context.Background(), who, req, payload, or(s.service, "kinesis"), or(s.region, "us-east-1"), s.at); err != nil {
		t.Fatal(err)
	}
	if s.after != nil {
		s.after(req)
	}
	return req
}

// TestSignatures signs with the SDK's signer, right and in every way wrong.
func TestSignatures(t *testing.T) {
	const (
		mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
		invalid  = "InvalidSignatureException"
		partial  = "IncompleteSignatureException"
	)
	authorize := func(edit func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", edit(r.Header.Get("Authorization"))) }
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, with, 1) }
	}
	r := guarded(t)
	for _, c := range []struct {
		name          string
		signing       signing
		code, message string // "" is success; a message that ends in … is its beginning
	}{
		{"the header", signing{}, "", ""},
		{"another key", signing{key: "OTHER", secret: "terces"}, "", ""},
		{"a path", signing{path: "/a%20b/c+d//e"}, "", ""},
		{"a query", signing{path: "/?b=2&a-b=1&a=x%20y&a=%2F&empty="}, "", ""},
		{"a session token", signing{token: "token+/="}, "", ""},
		{"spaces in a header", signing{header: map[string]string{"X-Amz-Meta": "  a   b  c "}}, "", ""},
		{"14 minutes old", signing{at: signedNow.Add(-14 * time.Minute)}, "", ""},
		{"14 minutes ahead", signing{at: signedNow.Add(14 * time.Minute)}, "", ""},
		{"an unsigned payload", signing{payload: "UNSIGNED-PAYLOAD", header: map[string]string{"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}}, "", ""},
		{"the hash of the payload", signing{before: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", hashOf("{}")) }}, "", ""},
		{"a link", signing{presign: true}, "", ""},
		{"a link with a token", signing{presign: true, token: "token"}, "", ""},
		{"a link for an hour", signing{presign: true, path: "/?X-Amz-Expires=3600", at: signedNow.Add(-59 * time.Minute)}, "", ""},

		{"another secret", signing{secret: "x"}, invalid, mismatch},
		{"the secret of another key", signing{secret: "terces"}, invalid, mismatch},
		{"no such key", signing{key: "NOBODY"}, "UnrecognizedClientException", "The security token included in the request is invalid."},
		{"another body", signing{after: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{ }")) }}, invalid, mismatch},
		{"another operation", signing{after: set("X-Amz-Target", "Kinesis_20131202.DescribeLimits")}, invalid, mismatch},
		{"another path", signing{after: func(r *http.Request) { r.URL.Path = "/x" }}, invalid, mismatch},
		{"another query", signing{after: func(r *http.Request) { r.URL.RawQuery = "a=b" }}, invalid, mismatch},
		{"another host", signing{after: func(r *http.Request) { r.Host = "example.com" }}, invalid, mismatch},
		{"another method", signing{before: func(r *http.Request) { r.Method = "PUT" }, after: func(r *http.Request) { r.Method = "POST" }}, invalid, mismatch},
		{"a header that is gone", signing{header: map[string]string{"X-Amz-Meta": "a"}, after: func(r *http.Request) { r.Header.Del("X-Amz-Meta") }}, invalid, mismatch},
		{"a digit changed", signing{after: authorize(func(s string) string {
			last := "0"
			if strings.HasSuffix(s, "0") {
				last = "1"
			}
			return s[:len(s)-1] + last
		})}, invalid, mismatch},
		{"a short signature", signing{after: authorize(func(s string) string { return s[:len(s)-2] })}, invalid, mismatch},
		{"a token that is not signed", signing{after: set("X-Amz-Security-Token", "t")}, invalid, "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization."},
		{"the target is not signed", signing{after: authorize(replace(";x-amz-target", ""))}, invalid, "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."},
		{"the host is not signed", signing{after: authorize(replace("host;", ""))}, invalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"another region", signing{region: "eu-west-1"}, invalid, "Credential should be scoped to a valid region. "},
		{"another service", signing{service: "s3"}, invalid, "Credential should be scoped to correct service: 'kinesis'. "},
		{"another end", signing{after: authorize(replace("aws4_request", "aws5_request"))}, invalid, "Credential should be scoped with a valid terminator: 'aws4_request'. "},
		{"another day", signing{after: authorize(replace("20260304", "20260303"))}, invalid,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260303' != '20260304', from '20260304T050607Z'. "},
		{"16 minutes old", signing{at: signedNow.Add(-16 * time.Minute)}, invalid,
			"Signature expired: 20260304T045007Z is now earlier than 20260304T045107Z (20260304T050607Z - 15 min.)"},
		{"16 minutes ahead", signing{at: signedNow.Add(16 * time.Minute)}, invalid,
			"Signature not yet current: 20260304T052207Z is still later than 20260304T052107Z (20260304T050607Z + 15 min.)"},
		{"a wrong hash of the payload", signing{before: set("X-Amz-Content-Sha256", hashOf("x"))}, invalid, "The provided 'x-amz-content-sha256' header does not match what was computed."},
		{"signed in pieces", signing{before: set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")}, invalid, "The payload signature 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' is not supported: sign the whole body."},
		{"a link that is old", signing{presign: true, at: signedNow.Add(-16 * time.Minute)}, invalid, "Signature expired: …"},
		{"a link past its hour", signing{presign: true, path: "/?X-Amz-Expires=3600", at: signedNow.Add(-61 * time.Minute)}, invalid, "Signature expired: …"},
		{"a link for years", signing{presign: true, path: "/?X-Amz-Expires=99999999"}, partial, "X-Amz-Expires must be between 1 and 604800 seconds, got '99999999'."},
		{"a link and a header", signing{presign: true, after: set("Authorization", "x")}, invalid, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		{"a link that is changed", signing{presign: true, after: func(r *http.Request) { r.URL.RawQuery += "&a=b" }}, invalid, mismatch},
		{"a link of another body", signing{presign: true, after: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{ }")) }}, invalid, mismatch},
		{"a link without a signature", signing{presign: true, after: func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Signature", "x", 1)
		}}, partial, "AWS query-string parameters must include 'X-Amz-Signature'. Re-examine the query-string parameters."},
		{"a broken query", signing{after: func(r *http.Request) { r.URL.RawQuery = "%zz" }}, partial, "The query string is malformed."},
	} {
		t.Run(c.name, func(t *testing.T) { wantSigned(t, r, c.signing.request(t), c.code, c.message) })
	}
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func wantSigned(t *testing.T, r *rig, req *http.Request, code, message string) {
	t.Helper()
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	if code == "" {
		if w.Code != 200 {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		return
	}
	var got map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	begin, cut := strings.CutSuffix(message, "…")
	if w.Code != 400 || got["__type"] != code || got["message"] != message && !(cut && strings.HasPrefix(got["message"], begin)) {
		t.Errorf("got %d %s: %s\nwant 400 %s: %s", w.Code, got["__type"], got["message"], code, message)
	}
}

// TestMalformedSignatures wants what the service says of signatures that are none, with
// and without a check of the others.
func TestMalformedSignatures(t *testing.T) {
	const (
		scope = "Credential=AKID/20260304/us-east-1/kinesis/aws4_request"
		date  = "20260304T050607Z"
	)
	for name, r := range map[string]*rig{"checked": guarded(t), "off": newRig(t, vfs.NewMem(), kv.NewMem())} {
		for _, c := range []struct{ authorization, date, message string }{
			{"X", date, "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization=X"},
			{"AWS4-HMAC-SHA256 " + scope, date, "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 " + scope},
			{"AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=", date, "Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature="},
			{"AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=a", "", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=a"},
			{"AWS4-HMAC-SHA256 " + scope + ", SignedHeaders=host, Signature=a", "today", "Date must be in ISO-8601 'basic format'. Got 'today'. See http://en.wikipedia.org/wiki/ISO_8601"},
			{"AWS4-HMAC-MD5 " + scope + ", SignedHeaders=host, Signature=a", date, "Unsupported AWS 'algorithm': 'AWS4-HMAC-MD5'."},
			{"AWS4-HMAC-SHA256 Credential=AKID/us-east-1, SignedHeaders=host, Signature=a", date, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKID/us-east-1'"},
		} {
			t.Run(name+" "+c.authorization[:min(len(c.authorization), 40)], func(t *testing.T) {
				w := r.send(sent{target: "ListStreams", contentType: jsonType, body: "{}", header: map[string]string{"Authorization": c.authorization, "X-Amz-Date": c.date}})
				var got map[string]string
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
					t.Fatalf("%s: %v", w.Body, err)
				}
				if w.Code != 400 || got["__type"] != "IncompleteSignatureException" || got["message"] != c.message {
					t.Errorf("got %d %v\nwant %s", w.Code, got, c.message)
				}
			})
		}
	}
}

// TestAuthOff passes what is well formed, whoever signed it and when.
func TestAuthOff(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	for _, s := range []signing{{secret: "x"}, {key: "NOBODY"}, {region: "eu-west-1", service: "s3"}, {presign: true, at: signedNow.Add(-time.Hour)}} {
		wantSigned(t, r, s.request(t), "", "")
	}
	req := signing{after: func(r *http.Request) {
		r.Header.Del("X-Amz-Date")
		r.Header.Set("Date", signedNow.Format(http.TimeFormat))
	}}.request(t)
	wantSigned(t, r, req, "", "")
}

// FuzzSignature holds that nothing but the right signature passes, and that nothing panics.
func FuzzSignature(f *testing.F) {
	r := guarded(f)
	for _, s := range []signing{{}, {presign: true}, {path: "/?a=b&a"}, {token: "t"}} {
		req := s.request(f)
		f.Add(req.URL.RequestURI(), req.Header.Get("Authorization"), req.Header.Get("X-Amz-Date"), req.Header.Get("X-Amz-Security-Token"), []byte("{}"))
	}
	f.Add("/?X-Amz-Algorithm=AWS4-HMAC-SHA256", "", "", "", []byte{})
	f.Fuzz(func(t *testing.T, path, authorization, date, token string, body []byte) {
		u, err := url.ParseRequestURI(path)
		if err != nil || strings.ContainsAny(authorization+date+token, "\r\n\x00") {
			t.Skip()
		}
		req := httptest.NewRequest(http.MethodPost, "http://localhost:4567/", bytes.NewReader(body))
		req.URL.Path, req.URL.RawPath, req.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
		for name, value := range map[string]string{"X-Amz-Target": "Kinesis_20131202.DescribeLimits", "Content-Type": jsonType, "Authorization": authorization, "X-Amz-Date": date, "X-Amz-Security-Token": token} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		if w.Code != http.StatusBadRequest { // all seeds are of another operation
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	})
}
