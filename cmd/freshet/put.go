package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// putCmd is `freshet put`.
type putCmd struct {
	client
	Type   string   `help:"gauge, counter, cumulative, distribution or set." enum:"gauge,counter,cumulative,distribution,set" default:"gauge"`
	Label  []string `help:"A label, written name=value. Repeat for more." short:"l" sep:"none" placeholder:"NAME=VALUE"`
	TS     string   `name:"ts" help:"The points' time: epoch milliseconds or RFC 3339. Now if not given." placeholder:"TIME"`
	Stream string   `help:"Post records to this stream: each line of standard input is one, whatever it holds." placeholder:"NAME"`
	Key    string   `help:"With --stream: the partition key of the records." placeholder:"KEY"`
	Point  []string `arg:"" optional:"" help:"Points, written metric=value; for a counter the value may be left out. Without any, NDJSON points are read from standard input."`
}

// A post carries this much of standard input at the most.
const (
	postLines = 5000
	postBytes = 1 << 20
)

// postAttempts is how often a post is sent to a server that is over capacity.
const postAttempts = 6

// putAnswer is the server's answer to a post of points.
type putAnswer struct {
	Accepted int `json:"accepted"`
	Rejected int `json:"rejected"`
	Errors   []struct {
		Index int    `json:"index"`
		Error string `json:"error"`
	} `json:"errors"`
}

// Run posts the points and prints how many are durable. It fails if any point
// was refused, after all others were posted.
func (c *putCmd) Run(in *invocation) error {
	if c.Stream != "" || c.Key != "" {
		if c.Stream == "" || len(c.Point) > 0 || c.Type != "gauge" || len(c.Label) > 0 || c.TS != "" {
			return usagef("--stream posts lines of standard input as records, with --key and no other flag of points")
		}
		return c.putLines(in)
	}
	if len(c.Point) == 0 {
		if c.Type != "gauge" || len(c.Label) > 0 || c.TS != "" {
			return usagef("--type, --label and --ts go with points written as arguments; those on standard input carry their own")
		}
		return c.putLines(in)
	}
	points, err := c.points()
	if err != nil {
		return err
	}
	body, err := json.Marshal(points)
	if err != nil {
		return err
	}
	answer, err := c.post(in, body, "application/json")
	if err != nil {
		return err
	}
	for _, e := range answer.Errors {
		fmt.Fprintf(in.stderr, "%s: %s\n", c.Point[min(e.Index, len(c.Point)-1)], e.Error)
	}
	return putDone(in, answer.Accepted, answer.Rejected)
}

// putDone prints the outcome.
func putDone(in *invocation, accepted, rejected int) error {
	if _, err := fmt.Fprintf(in.stdout, "accepted %d\n", accepted); err != nil {
		return err
	}
	if rejected > 0 {
		return fmt.Errorf("%d of %d points were refused", rejected, accepted+rejected)
	}
	return nil
}

// points turns the arguments into points as the API takes them.
func (c *putCmd) points() ([]map[string]any, error) {
	labels := map[string]string{}
	for _, l := range c.Label {
		name, value, found := strings.Cut(l, "=")
		if !found || name == "" {
			return nil, usagef("--label %q is not of the form name=value", l)
		}
		labels[name] = value
	}
	var ts any
	if c.TS != "" {
		ts = c.TS
		if ms, err := strconv.ParseInt(c.TS, 10, 64); err == nil {
			ts = ms
		} else if _, err := time.Parse(time.RFC3339Nano, c.TS); err != nil {
			return nil, usagef("--ts %q is neither epoch milliseconds nor RFC 3339", c.TS)
		}
	}
	points := make([]map[string]any, 0, len(c.Point))
	for _, arg := range c.Point {
		metric, text, found := strings.Cut(arg, "=")
		p := map[string]any{"metric": metric, "type": c.Type}
		switch {
		case !found && c.Type == "counter":
		case !found:
			return nil, usagef("%q is not of the form metric=value", arg)
		case c.Type == "set":
			p["value"] = text
		default:
			if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
				return nil, usagef("%q: the value %q is not a number", arg, text)
			}
			p["value"] = json.RawMessage(text)
		}
		if len(labels) > 0 {
			p["labels"] = labels
		}
		if ts != nil {
			p["ts"] = ts
		}
		points = append(points, p)
	}
	return points, nil
}

// putLines posts standard input, a bounded number of lines at a time.
func (c *putCmd) putLines(in *invocation) error {
	var (
		reader             = bufio.NewReaderSize(in.stdin, 64<<10)
		body               bytes.Buffer
		accepted, rejected int
		numbers            []int // the number in the input of each line in body
		number             int
	)
	flush := func() error {
		if len(numbers) == 0 {
			return nil
		}
		answer, err := c.post(in, body.Bytes(), "application/x-ndjson")
		if err != nil {
			return fmt.Errorf("after %d accepted points: %w", accepted, err)
		}
		for _, e := range answer.Errors {
			fmt.Fprintf(in.stderr, "line %d: %s\n", numbers[min(e.Index, len(numbers)-1)], e.Error)
		}
		accepted, rejected = accepted+answer.Accepted, rejected+answer.Rejected
		numbers = numbers[:0]
		body.Reset()
		return nil
	}
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("standard input: %w", err)
		}
		number++
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 {
			if len(numbers) == postLines || body.Len()+len(trimmed) > postBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			body.Write(trimmed)
			body.WriteByte('\n')
			numbers = append(numbers, number)
		}
		if err == io.EOF {
			break
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return putDone(in, accepted, rejected)
}

// path is where the lines go.
func (c *putCmd) path() string {
	if c.Stream == "" {
		return "/api/v1/points"
	}
	path := "/api/v1/streams/" + url.PathEscape(c.Stream) + "/records"
	if c.Key != "" {
		path += "?key=" + url.QueryEscape(c.Key)
	}
	return path
}

// post sends one body, again while the server says that it is over capacity.
// A body in which all points were refused is an answer, not an error.
func (c *putCmd) post(in *invocation, body []byte, contentType string) (putAnswer, error) {
	for attempt := 1; ; attempt++ {
		answer, err := c.do(in.ctx, request{method: http.MethodPost, path: c.path(), contentType: contentType, body: body})
		var refused *refusal
		if errors.As(err, &refused) {
			if refused.Status == http.StatusTooManyRequests && attempt < postAttempts {
				if err := sleep(in, max(refused.RetryAfter, 200*time.Millisecond)); err != nil {
					return putAnswer{}, err
				}
				continue
			}
			if len(refused.Rejected.Errors) > 0 {
				return refused.Rejected, nil
			}
		}
		if err != nil {
			return putAnswer{}, err
		}
		defer answer.Body.Close()
		var a putAnswer
		if err := json.NewDecoder(answer.Body).Decode(&a); err != nil {
			return putAnswer{}, fmt.Errorf("the answer to the post is not what this version expects: %w", err)
		}
		return a, nil
	}
}

// sleep waits for d, or returns the error of a context that ends first.
func sleep(in *invocation, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-in.ctx.Done():
		return in.ctx.Err()
	}
}
