package producer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// An APIError is an error that the Kinesis API answers.
type APIError struct {
	Status  int    // of HTTP; 0 for one record of a request
	Code    string // such as ResourceNotFoundException
	Message string
}

func (e *APIError) Error() string {
	if e.Message == "" {
		return "the service answers " + e.Code
	}
	return fmt.Sprintf("the service answers %s: %s", e.Code, e.Message)
}

// final reports whether sending a request again is of no use.
func final(err error) bool {
	var api *APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.Code {
	case "ValidationException", "InvalidArgumentException", "SerializationException", "UnknownOperationException",
		"AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignatureException",
		"MissingAuthenticationTokenException", "InvalidClientTokenId", "OptInRequired":
		return true
	}
	return false
}

const (
	maxAnswer = 8 << 20 // bytes of an answer that are read
	maxPages  = 100     // of a list of shards: one page has up to 1,000
)

// api calls the service, in JSON 1.1 over HTTP.
type api struct {
	o   *KinesisOptions
	url string
}

// An answer is what became of one record of a request.
type answer struct {
	ShardID        string `json:"ShardId"`
	SequenceNumber string
	ErrorCode      string
	ErrorMessage   string
}

// putRecords sends entries once and returns an answer for each.
func (a *api) putRecords(ctx context.Context, entries []*entry) ([]answer, error) {
	size := 256
	for _, e := range entries {
		size += base64.StdEncoding.EncodedLen(len(e.payload)) + len(e.key()) + 128
	}
	body := append(make([]byte, 0, size), `{`...)
	body = append(a.appendStream(body), `,"Records":[`...)
	for i, e := range entries {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"Data":"`...)
		body = base64.StdEncoding.AppendEncode(body, e.payload)
		body = appendString(append(body, `","PartitionKey":`...), e.key())
		if explicit := e.explicit(); explicit != "" {
			body = appendString(append(body, `,"ExplicitHashKey":`...), explicit)
		}
		body = append(body, '}')
	}
	body = append(body, `]}`...)
	var out struct{ Records []answer }
	if err := a.call(ctx, "PutRecords", body, &out); err != nil {
		return nil, err
	}
	if len(out.Records) != len(entries) {
		return nil, fmt.Errorf("PutRecords: got %d answers for %d records", len(out.Records), len(entries))
	}
	return out.Records, nil
}

// appendStream appends the member that names the stream.
func (a *api) appendStream(b []byte) []byte {
	name := `"StreamName":`
	if strings.HasPrefix(a.o.Stream, "arn:") {
		name = `"StreamARN":`
	}
	return appendString(append(b, name...), a.o.Stream)
}

// appendString appends a string in JSON.
func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be written
	}
	return append(b, text...)
}

// listShards returns every shard by its id, and those that are open.
func (a *api) listShards(ctx context.Context) (all map[string]shard, open []shard, err error) {
	all = make(map[string]shard)
	body := append(a.appendStream([]byte(`{`)), `}`...)
	for range maxPages {
		var out struct {
			Shards []struct {
				ShardID      string `json:"ShardId"`
				HashKeyRange struct{ StartingHashKey, EndingHashKey string }

				SequenceNumberRange struct{ EndingSequenceNumber string }
			}
			NextToken string
		}
		if err := a.call(ctx, "ListShards", body, &out); err != nil {
			return nil, nil, err
		}
		for _, s := range out.Shards {
			first, ok1 := parseHash(s.HashKeyRange.StartingHashKey)
			last, ok2 := parseHash(s.HashKeyRange.EndingHashKey)
			if !ok1 || !ok2 || s.ShardID == "" {
				return nil, nil, fmt.Errorf("ListShards: shard %q has the hash range %q to %q", s.ShardID, s.HashKeyRange.StartingHashKey, s.HashKeyRange.EndingHashKey)
			}
			known := shard{id: s.ShardID, first: first, last: last}
			all[s.ShardID] = known
			if s.SequenceNumberRange.EndingSequenceNumber == "" {
				open = append(open, known)
			}
		}
		if out.NextToken == "" {
			if len(open) == 0 {
				return nil, nil, errors.New("ListShards: no shard is open")
			}
			return all, open, nil
		}
		body = append(appendString([]byte(`{"NextToken":`), out.NextToken), '}')
	}
	return nil, nil, fmt.Errorf("ListShards: more than %d pages", maxPages)
}

// call calls an operation.
func (a *api) call(ctx context.Context, operation string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, a.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	credentials := a.o.Credentials
	if a.o.GetCredentials != nil {
		if credentials, err = a.o.GetCredentials(ctx); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
	}
	if credentials.AccessKey == "" {
		credentials = Credentials{AccessKey: "none", SecretKey: "none"}
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
	sign(req, body, credentials, a.o.Region, time.Now())
	resp, err := a.o.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return apiError(resp, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s: the answer is not that of Kinesis: %w", operation, err)
	}
	return nil
}

// apiError reads the error that a service has answered.
func apiError(resp *http.Response, text []byte) error {
	var body struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	e := &APIError{Status: resp.StatusCode, Code: resp.Header.Get("X-Amzn-Errortype")}
	if json.Unmarshal(text, &body) == nil {
		e.Message = body.Message // in either spelling: encoding/json ignores case
		if body.Type != "" {
			e.Code = body.Type
		}
	}
	// Some services write the type as namespace#type, or as type:address.
	if _, after, ok := strings.Cut(e.Code, "#"); ok {
		e.Code = after
	}
	e.Code, _, _ = strings.Cut(e.Code, ":")
	if e.Code == "" {
		e.Code = resp.Status
	}
	return e
}
