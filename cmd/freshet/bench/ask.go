package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// An asker sends queries one after the other over one connection.
type asker struct {
	client http.Client
	url    string
}

func (p *process) asker() *asker {
	return &asker{client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 2 * time.Minute}, url: p.url}
}

func (a *asker) close() { a.client.CloseIdleConnections() }

// ask returns how long it took until the last byte of an answer was there, which must have
// at least so many series.
func (a *asker) ask(ctx context.Context, query string, series int) (time.Duration, error) {
	began := time.Now()
	data, err := a.post(ctx, "/api/v1/query", query)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	if n := bytes.Count(data, []byte(`"values":`)); n < series {
		return 0, fmt.Errorf("%s was answered with %d series, not %d: %.300s", query, n, series, data)
	}
	return took, nil
}

// sql returns how long a statement took and its only row.
func (a *asker) sql(ctx context.Context, statement string) (took time.Duration, row []float64, err error) {
	body, err := json.Marshal(map[string]string{"sql": statement})
	if err != nil {
		return 0, nil, err
	}
	began := time.Now()
	data, err := a.post(ctx, "/api/v1/sql", string(body))
	took = time.Since(began)
	if err != nil {
		return 0, nil, err
	}
	var answer struct{ Rows [][]float64 }
	if err := json.Unmarshal(data, &answer); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", statement, err)
	}
	if len(answer.Rows) != 1 {
		return 0, nil, fmt.Errorf("%s was answered %.300s", statement, data)
	}
	return took, answer.Rows[0], nil
}

func (a *asker) post(ctx context.Context, path, body string) ([]byte, error) {
	return request(ctx, &a.client, http.MethodPost, a.url+path, []byte(body))
}

// load has the server load what is pending and returns what it said.
func (p *process) load(ctx context.Context) (l loaded, err error) {
	data, err := getJSON(ctx, http.MethodPost, p.url+"/api/v1/warehouse/load", nil)
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(data, &l)
}

// A loaded is what a load did.
type loaded struct {
	Generation, Points int64
	Seconds            float64
}
