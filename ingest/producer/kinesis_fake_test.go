package producer_test

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"freshet/stream/kpl"
)

// A service stands in for Kinesis and for the network before it.
type service struct {
	// fault returns the error code of record i of the n-th PutRecords, from 1; "" takes it.
	// With i -1 it is of the request; "down" is no connection. nil takes everything.
	fault func(n, i int, key string) string
	delay time.Duration // of a PutRecords
	page  int           // shards on a page of ListShards; 0 means all

	mu       sync.Mutex
	shards   []*fakeShard
	puts     int
	lists    int
	flying   int
	most     int // requests at once
	sequence int
	noList   string // error code of ListShards
	header   http.Header
	times    []time.Time
	sizes    []int // records of each request
}

type fakeShard struct {
	id          string
	first, last *big.Int
	closed      bool
	records     []fakeRecord
}

// A fakeRecord is a record of the stream.
type fakeRecord struct {
	key, sequence string
	data          []byte
	at            time.Time
}

func newService(shards int) *service {
	s := &service{}
	width := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(shards)))
	for i := range shards {
		first := new(big.Int).Mul(width, big.NewInt(int64(i)))
		last := new(big.Int).Sub(new(big.Int).Add(first, width), big.NewInt(1))
		if i == shards-1 {
			last = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
		}
		s.shards = append(s.shards, &fakeShard{id: fmt.Sprintf("shardId-%012d", i), first: first, last: last})
	}
	return s
}

// split closes the i-th open shard and opens its two halves.
func (s *service) split(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*fakeShard
	for _, sh := range s.shards {
		if !sh.closed {
			open = append(open, sh)
		}
	}
	parent := open[i%len(open)]
	parent.closed = true
	middle := new(big.Int).Rsh(new(big.Int).Add(parent.first, parent.last), 1)
	above := new(big.Int).Add(middle, big.NewInt(1))
	for _, r := range [][2]*big.Int{{parent.first, middle}, {above, parent.last}} {
		s.shards = append(s.shards, &fakeShard{id: fmt.Sprintf("shardId-%012d", len(s.shards)), first: r[0], last: r[1]})
	}
}

func (s *service) shardFor(h *big.Int) *fakeShard {
	for _, sh := range s.shards {
		if !sh.closed && sh.holds(h) {
			return sh
		}
	}
	panic("no shard for " + h.String())
}

func (sh *fakeShard) holds(h *big.Int) bool { return sh.first.Cmp(h) <= 0 && h.Cmp(sh.last) <= 0 }

func hashOf(key, explicit string) *big.Int {
	if explicit != "" {
		h, _ := new(big.Int).SetString(explicit, 10)
		return h
	}
	sum := md5.Sum([]byte(key))
	return new(big.Int).SetBytes(sum[:])
}

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	switch target := req.Header.Get("X-Amz-Target"); target {
	case "Kinesis_20131202.ListShards":
		s.listShards(w, body)
	case "Kinesis_20131202.PutRecords":
		if err := s.putRecords(req, w, body); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("target %q", target)
	}
	return w.Result(), nil
}

func refuse(w http.ResponseWriter, code string) {
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.kinesis#%s","message":"because"}`, code)
}

func (s *service) listShards(w http.ResponseWriter, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	if s.noList != "" {
		refuse(w, s.noList)
		return
	}
	var in struct{ StreamName, NextToken string }
	json.Unmarshal(body, &in)
	from := 0
	if in.NextToken != "" {
		if in.StreamName != "" {
			refuse(w, "InvalidArgumentException")
			return
		}
		fmt.Sscan(in.NextToken, &from)
	}
	type object = map[string]any
	out, list := object{}, []object{}
	for i := from; i < len(s.shards); i++ {
		if s.page > 0 && i-from == s.page {
			out["NextToken"] = fmt.Sprint(i)
			break
		}
		sh := s.shards[i]
		numbers := object{"StartingSequenceNumber": "1"}
		if sh.closed {
			numbers["EndingSequenceNumber"] = "9"
		}
		list = append(list, object{"ShardId": sh.id, "SequenceNumberRange": numbers,
			"HashKeyRange": object{"StartingHashKey": sh.first.String(), "EndingHashKey": sh.last.String()}})
	}
	out["Shards"] = list
	json.NewEncoder(w).Encode(out)
}

func (s *service) putRecords(req *http.Request, w http.ResponseWriter, body []byte) error {
	var in struct {
		Records []struct {
			PartitionKey, ExplicitHashKey string
			Data                          []byte
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	s.mu.Lock()
	s.flying++
	s.most = max(s.most, s.flying)
	s.mu.Unlock()
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-req.Context().Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
	if err := req.Context().Err(); err != nil {
		return err
	}
	s.puts++
	s.header = req.Header
	s.times = append(s.times, time.Now())
	s.sizes = append(s.sizes, len(in.Records))
	fault := s.fault
	if fault == nil {
		fault = func(int, int, string) string { return "" }
	}
	switch code := fault(s.puts, -1, ""); code {
	case "":
	case "down":
		return errors.New("connection refused")
	default:
		refuse(w, code)
		return nil
	}
	out, failed := []map[string]any{}, 0
	for i, r := range in.Records {
		if code := fault(s.puts, i, r.PartitionKey); code != "" {
			out = append(out, map[string]any{"ErrorCode": code, "ErrorMessage": "because"})
			failed++
			continue
		}
		sh := s.shardFor(hashOf(r.PartitionKey, r.ExplicitHashKey))
		s.sequence++
		sh.records = append(sh.records, fakeRecord{r.PartitionKey, fmt.Sprint(s.sequence), r.Data, time.Now()})
		out = append(out, map[string]any{"ShardId": sh.id, "SequenceNumber": fmt.Sprint(s.sequence)})
	}
	json.NewEncoder(w).Encode(map[string]any{"FailedRecordCount": failed, "Records": out})
	return nil
}

// A userRecord is one that a consumer gets.
type userRecord struct {
	kpl.Record
	shard, sequence string
	sub             int
}

// consume returns every user record, shard by shard, as Amazon's consumers do: those in a
// shard that is not theirs are skipped, and counted.
func (s *service) consume() (got []userRecord, skipped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range s.shards {
		for _, r := range sh.records {
			records, err := kpl.Decode(nil, r.data)
			if errors.Is(err, kpl.ErrNotAggregate) {
				got = append(got, userRecord{kpl.Record{PartitionKey: r.key, Data: r.data}, sh.id, r.sequence, 0})
				continue
			}
			if err != nil {
				panic(err)
			}
			for i, u := range records {
				if !sh.holds(hashOf(u.PartitionKey, u.ExplicitHashKey)) {
					skipped++
					continue
				}
				got = append(got, userRecord{u, sh.id, r.sequence, i})
			}
		}
	}
	return got, skipped
}

func (s *service) stored() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range s.shards {
		n += len(sh.records)
	}
	return n
}
