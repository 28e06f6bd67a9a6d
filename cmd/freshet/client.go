package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A client says which server a subcommand talks to. Kong fills it.
type client struct {
	URL   string `help:"Where the server is." env:"FRESHET_URL" default:"http://127.0.0.1:8080"`
	Token string `help:"Access token, when the server asks for one." env:"FRESHET_TOKEN" placeholder:"TOKEN"`
}

// A request is one call of the server's HTTP API.
type request struct {
	method      string
	path        string
	contentType string
	accept      string
	body        []byte
}

// A refusal is an answer that is not 2xx.
type refusal struct {
	Status     int
	Message    string
	RetryAfter time.Duration // 0 when the server did not say
	Rejected   putAnswer     // what was wrong with each point, when that is why
}

func (r *refusal) Error() string {
	switch r.Status {
	case http.StatusUnauthorized:
		return "the server asks for a token: " + r.Message + " (give one with --token or FRESHET_TOKEN)"
	case http.StatusForbidden:
		return "the token does not allow this: " + r.Message
	}
	return fmt.Sprintf("the server refused (%d): %s", r.Status, r.Message)
}

// do sends one request. The answer's body is the caller's to close. Its error
// is a *refusal for an answer that is not 2xx, and otherwise says that the
// server could not be reached.
func (c *client) do(ctx context.Context, r request) (*http.Response, error) {
	base, err := url.Parse(c.URL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, usagef("--url %q is not an address like http://127.0.0.1:8080", c.URL)
	}
	target := strings.TrimSuffix(c.URL, "/") + r.path
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	req.Header.Set("User-Agent", "freshet/"+version)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("no server answers at %s; start one with \"freshet serve\", or name another with --url", c.URL)
		}
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("cannot reach %s: %w", c.URL, err)
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		return nil, refusalOf(answer)
	}
	return answer, nil
}

// refusalOf reads the reason out of an answer that is not 2xx.
func refusalOf(answer *http.Response) *refusal {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10)) // what is over 64 KiB is not shown
	r := &refusal{Status: answer.StatusCode, Message: strings.TrimSpace(string(text))}
	var body struct {
		Error string `json:"error"`
		putAnswer
	}
	if json.Unmarshal(text, &body) == nil {
		r.Rejected = body.putAnswer
		switch {
		case body.Error != "":
			r.Message = body.Error
		case len(body.Errors) > 0:
			r.Message = body.Errors[0].Error
		}
	}
	if r.Message == "" {
		r.Message = http.StatusText(answer.StatusCode)
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.RetryAfter = time.Duration(seconds) * time.Second
	}
	return r
}

// call sends v as JSON, if it is not nil, and reads the JSON answer into into,
// if that is not nil.
func (c *client) call(ctx context.Context, method, path string, v, into any) error {
	r := request{method: method, path: path, accept: "application/json"}
	if v != nil {
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		r.body, r.contentType = body, "application/json"
	}
	answer, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("the answer of %s is not what this version expects: %w", path, err)
	}
	return nil
}
