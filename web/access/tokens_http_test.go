package access_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"freshet/web/access"
)

// holds reports whether the file at path contains text.
func holds(t *testing.T, path, text string) bool {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(content, []byte(text))
}

// call asks the handler and decodes its answer.
func call(t *testing.T, h http.Handler, secret, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%s %s: got %q, want JSON", method, path, w.Body)
		}
	}
	return w.Code, answer
}

func TestTokensOverHTTP(t *testing.T) {
	a, admin, _, _ := open(t)
	h := a.TokensHandler()
	status, made := call(t, h, admin, "POST", "/api/v1/tokens", `{"name":"ci","scopes":["ingest","read"]}`)
	if status != 201 {
		t.Fatalf("create: got %d %v, want 201", status, made)
	}
	secret, id := made["token"].(string), made["id"].(string)
	if who, err := a.Identify(bearer(secret)); err != nil || who.Scopes != access.Ingest|access.Read || who.Name != "ci" {
		t.Errorf("got %+v, %v, want the token that was made", who, err)
	}
	status, list := call(t, h, admin, "GET", "/api/v1/tokens", "")
	if tokens, _ := list["tokens"].([]any); status != 200 || len(tokens) != 2 {
		t.Errorf("list: got %d %v, want two tokens", status, list)
	} else if _, shown := tokens[1].(map[string]any)["token"]; shown {
		t.Error("the list shows a secret")
	}
	if status, _ := call(t, h, secret, "GET", "/api/v1/tokens", ""); status != 403 {
		t.Errorf("list without the scope: got %d, want 403", status)
	}
	if status, _ := call(t, h, admin, "DELETE", "/api/v1/tokens/"+id, ""); status != 204 {
		t.Errorf("revoke: got %d, want 204", status)
	}
	if _, err := a.Identify(bearer(secret)); err == nil {
		t.Error("a revoked token is let through")
	}
}

func TestTokensRefused(t *testing.T) {
	a, admin, _, _ := open(t)
	h := a.TokensHandler()
	for _, test := range []struct {
		name, method, path, body string
		want                     int
		says                     string
	}{
		{"no body", "POST", "", ``, 400, "body"},
		{"not JSON", "POST", "", `name=ci`, 400, "body"},
		{"two objects", "POST", "", `{"name":"a","scopes":["read"]}{}`, 400, "more than one"},
		{"misspelt field", "POST", "", `{"name":"a","scope":["read"]}`, 400, "scope"},
		{"no name", "POST", "", `{"scopes":["read"]}`, 400, "name"},
		{"long name", "POST", "", `{"name":"` + strings.Repeat("x", 101) + `","scopes":["read"]}`, 400, "101 bytes, more than 100"},
		{"control character", "POST", "", `{"name":"a\u0007","scopes":["read"]}`, 400, "printable"},
		{"no scopes", "POST", "", `{"name":"a"}`, 400, "scopes"},
		{"unknown scope", "POST", "", `{"name":"a","scopes":["root"]}`, 400, `"root"`},
		{"over already", "POST", "", `{"name":"a","scopes":["read"],"expires":1}`, 400, "expires"},
		{"large body", "POST", "", `{"name":"` + strings.Repeat("x", 5000) + `"}`, 413, "4096"},
		{"unknown token", "DELETE", "/nobody", ``, 404, "no such token"},
		{"last admin", "DELETE", "/" + a.List()[0].ID, ``, 409, "last admin"},
		{"method", "PUT", "", ``, 405, "GET, POST"},
		{"method on a token", "GET", "/x", ``, 405, "DELETE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, answer := call(t, h, admin, test.method, "/api/v1/tokens"+test.path, test.body)
			text, _ := answer["error"].(string)
			if status != test.want || !strings.Contains(text, test.says) {
				t.Errorf("got %d %q, want %d with %q", status, text, test.want, test.says)
			}
		})
	}
}
