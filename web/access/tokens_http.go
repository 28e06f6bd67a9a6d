package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxTokenBody bounds the body of a request to make a token.
const maxTokenBody = 4 << 10

// tokenView is a Token on the wire. Times are epoch ms, 0 for never.
type tokenView struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	Created  int64    `json:"created"`
	Expires  int64    `json:"expires"`
	LastUsed int64    `json:"last_used"`
	Secret   string   `json:"token,omitempty"`
}

func viewOf(t Token) tokenView {
	return tokenView{
		ID: t.ID, Name: t.Name, Scopes: t.Scopes.Names(),
		Created: epoch(t.Created), Expires: epoch(t.Expires), LastUsed: epoch(t.LastUsed),
	}
}

// TokensHandler serves /api/v1/tokens to those with the scope Admin:
//
//	GET    /api/v1/tokens       {"tokens":[{"id","name","scopes","created","expires","last_used"}]}
//	POST   /api/v1/tokens       {"name":"…","scopes":["ingest"],"expires":<epoch ms, 0 for never>} → 201, the token with its secret as "token"
//	DELETE /api/v1/tokens/{id}  204
func (a *Access) TokensHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/tokens", func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			a.answerList(w)
		case http.MethodPost:
			a.answerCreate(w, r)
		default:
			refuseMethod(w, r, "GET, POST")
		}
	})
	mux.HandleFunc("/api/v1/tokens/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			refuseMethod(w, r, "DELETE")
			return
		}
		if err := a.Revoke(r.PathValue("id")); err != nil {
			answerError(w, statusOf(err), err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return a.Require(Admin)(mux)
}

func refuseMethod(w http.ResponseWriter, r *http.Request, allowed string) {
	w.Header().Set("Allow", allowed)
	answerError(w, http.StatusMethodNotAllowed, fmt.Errorf("method %s: this address takes %s", r.Method, allowed))
}

func (a *Access) answerList(w http.ResponseWriter) {
	if a.off {
		answerError(w, statusOf(ErrOff), ErrOff)
		return
	}
	list := a.List()
	views := make([]tokenView, len(list))
	for i, t := range list {
		views[i] = viewOf(t)
	}
	answerJSON(w, http.StatusOK, map[string]any{"tokens": views})
}

func (a *Access) answerCreate(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Name    string   `json:"name"`
		Scopes  []string `json:"scopes"`
		Expires int64    `json:"expires"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTokenBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&ask); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			answerError(w, http.StatusRequestEntityTooLarge, fmt.Errorf("body: more than %d bytes", maxTokenBody))
			return
		}
		answerError(w, http.StatusBadRequest, fmt.Errorf("body: %w", err))
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		answerError(w, http.StatusBadRequest, errors.New("body: more than one JSON object"))
		return
	}
	scopes, err := ParseScopes(ask.Scopes)
	if err != nil {
		answerError(w, http.StatusBadRequest, err)
		return
	}
	var expires time.Time
	if ask.Expires != 0 {
		expires = time.UnixMilli(ask.Expires)
	}
	secret, t, err := a.Create(ask.Name, scopes, expires)
	if err != nil {
		answerError(w, statusOf(err), err)
		return
	}
	view := viewOf(t)
	view.Secret = secret
	answerJSON(w, http.StatusCreated, view)
}

// statusOf returns the HTTP status that an error of Create or Revoke stands
// for.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrNoToken):
		return http.StatusNotFound
	case errors.Is(err, ErrLastAdmin), errors.Is(err, ErrTooManyTokens), errors.Is(err, ErrOff):
		return http.StatusConflict
	case errors.Is(err, errStore):
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
