package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// KinesisLoad says what the generator sends to the Kinesis API.
type KinesisLoad struct {
	Shards      int           `help:"Shards of the stream." default:"1"`
	Records     int           `help:"Records in one PutRecords." default:"500"`
	Bytes       int           `help:"Bytes of a record." default:"200"`
	Connections int           `help:"Connections that put at the same time." default:"16"`
	Duration    time.Duration `help:"How long to put." default:"5s"`
	Peer        string        `help:"Measure another server of the API in the same run, by the same client, at this URL." placeholder:"URL"`
}

const (
	kinesisStream  = "bench"
	kinesisType    = "application/x-amz-json-1.1"
	kinesisSigned  = "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00"
	singlePutConns = 64
)

// Kinesis measures puts and gets over the Kinesis API, acknowledged when they are durable.
func Kinesis(ctx context.Context, l KinesisLoad) (*Report, error) {
	p, _, err := start(ctx, "", "--kinesis-listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer p.close()
	r := &Report{Name: fmt.Sprintf("Kinesis API: records of %d bytes, %d shards", l.Bytes, l.Shards)}
	ours, err := l.measure(ctx, p.kinesis)
	if err != nil {
		return nil, err
	}
	cpu, err := p.cpu()
	if err != nil {
		return nil, err
	}
	rss, err := p.resident()
	if err != nil {
		return nil, err
	}
	var peer kinesisRates
	if l.Peer != "" {
		if peer, err = l.measure(ctx, l.Peer); err != nil {
			return nil, fmt.Errorf("%s: %w", l.Peer, err)
		}
	}
	add := func(name, unit string, ours, peer float64) {
		note := ""
		if peer > 0 {
			note = fmt.Sprintf("%s times the peer's %s", number(ours/peer), number(peer))
		}
		r.add(name, ours, unit, note)
	}
	add(fmt.Sprintf("PutRecords of %d, %d connections", l.Records, l.Connections), "records/s", ours.puts, peer.puts)
	add(fmt.Sprintf("PutRecord, %d connections", singlePutConns), "records/s", ours.single, peer.single)
	add("GetRecords, one reader", "records/s", ours.gets, peer.gets)
	add("GetRecords, one reader", "MB/s of data", ours.gets*float64(l.Bytes)/1e6, peer.gets*float64(l.Bytes)/1e6)
	r.add("server CPU in all", cpu, "s", "")
	r.add("server resident memory", float64(rss)/(1<<20), "MiB", "")
	disk, err := diskRate(p.dir, 1<<20, 2*time.Second)
	if err != nil {
		return nil, err
	}
	r.add("records written beside the disk's writes of 1 MiB, fdatasync each", ours.puts*float64(l.Bytes)/disk, "", fmt.Sprintf("of %s MB/s", number(disk/1e6)))
	return r, nil
}

// kinesisRates are records a second.
type kinesisRates struct{ puts, single, gets float64 }

func (l KinesisLoad) measure(ctx context.Context, url string) (rates kinesisRates, err error) {
	if err := l.prepare(ctx, url); err != nil {
		return rates, err
	}
	many := make([][]byte, 64)
	for i := range many {
		many[i] = l.body(l.Records)
	}
	one := make([][]byte, 256)
	for i := range one {
		one[i] = l.body(1)
	}
	if rates.puts, err = l.put(ctx, url, "PutRecords", many, l.Records, l.Connections); err != nil {
		return rates, err
	}
	if rates.single, err = l.put(ctx, url, "PutRecord", one, 1, singlePutConns); err != nil {
		return rates, err
	}
	rates.gets, err = l.get(ctx, url)
	return rates, err
}

// prepare makes the stream and waits until it is there.
func (l KinesisLoad) prepare(ctx context.Context, url string) error {
	if _, err := kinesisCall(ctx, url, "CreateStream", map[string]any{"StreamName": kinesisStream, "ShardCount": l.Shards}); err != nil {
		return err
	}
	for {
		answer, err := kinesisCall(ctx, url, "DescribeStreamSummary", map[string]any{"StreamName": kinesisStream})
		if err != nil {
			return err
		}
		if bytes.Contains(answer, []byte(`"ACTIVE"`)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// body renders a PutRecords of n records, or a PutRecord.
func (l KinesisLoad) body(n int) []byte {
	data := make([]byte, l.Bytes)
	record := func(b []byte) []byte {
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		b = fmt.Appendf(b, `"PartitionKey":"key-%08d","Data":"`, rand.IntN(1e8))
		return append(base64.StdEncoding.AppendEncode(b, data), '"')
	}
	b := []byte(`{"StreamName":"` + kinesisStream + `",`)
	if n == 1 {
		return append(record(b), '}')
	}
	b = append(b, `"Records":[`...)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(record(append(b, '{')), '}')
	}
	return append(b, "]}"...)
}

// put sends bodies over several connections for the duration.
func (l KinesisLoad) put(ctx context.Context, url, operation string, bodies [][]byte, records, connections int) (float64, error) {
	host := strings.TrimPrefix(url, "http://")
	var sent atomic.Int64
	var g errgroup.Group
	began := time.Now()
	for c := range connections {
		g.Go(func() error {
			conn, err := dial(ctx, host)
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.headers = "X-Amz-Target: Kinesis_20131202." + operation + "\r\nContent-Type: " + kinesisType +
				"\r\nX-Amz-Date: 20260101T000000Z\r\nAuthorization: " + kinesisSigned + "\r\n"
			for i := c; time.Since(began) < l.Duration && ctx.Err() == nil; i++ {
				status, err := conn.post("/", bodies[i%len(bodies)])
				if err != nil {
					return err
				}
				if status != http.StatusOK {
					return fmt.Errorf("%s: status %d", operation, status)
				}
				sent.Add(int64(records))
			}
			return ctx.Err()
		})
	}
	err := g.Wait()
	return float64(sent.Load()) / time.Since(began).Seconds(), err
}

// get reads the first shard from its start for the duration, or to its end.
func (l KinesisLoad) get(ctx context.Context, url string) (float64, error) {
	answer, err := kinesisCall(ctx, url, "GetShardIterator", map[string]any{"StreamName": kinesisStream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"})
	if err != nil {
		return 0, err
	}
	var it struct{ ShardIterator string }
	if err := json.Unmarshal(answer, &it); err != nil {
		return 0, err
	}
	began, records := time.Now(), 0
	for time.Since(began) < l.Duration {
		answer, err := kinesisCall(ctx, url, "GetRecords", map[string]any{"ShardIterator": it.ShardIterator})
		if err != nil {
			return 0, err
		}
		n := bytes.Count(answer, []byte(`"SequenceNumber"`))
		_, rest, ok := bytes.Cut(answer, []byte(`"NextShardIterator":"`))
		next, _, closed := bytes.Cut(rest, []byte{'"'})
		if records += n; n == 0 || !ok || !closed {
			break
		}
		it.ShardIterator = string(next)
	}
	return float64(records) / time.Since(began).Seconds(), nil
}

// kinesisCall calls an operation with an ordinary client and returns the answer's body.
func kinesisCall(ctx context.Context, url, operation string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"X-Amz-Target": "Kinesis_20131202." + operation, "Content-Type": kinesisType,
		"X-Amz-Date": "20260101T000000Z", "Authorization": kinesisSigned} {
		req.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %d: %s", operation, answer.StatusCode, bytes.TrimSpace(text))
	}
	return text, nil
}
