package producer

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"time"
	"unicode/utf8"

	"freshet/stream/kpl"
)

// KinesisOptions say to which stream records go and how. The zero value of every field
// but Stream is of use.
type KinesisOptions struct {
	URL    string // of the service, such as http://127.0.0.1:4567; "" means Amazon's in the region
	Stream string // name or ARN; required
	Region string // "" means us-east-1

	// Credentials sign the requests; the zero value sends a key that only a server that
	// checks none accepts. Where they change, GetCredentials is asked before each request.
	Credentials    Credentials
	GetCredentials func(context.Context) (Credentials, error) // nil means Credentials

	Plain          bool          // every user record is a record of its own, instead of packed as the KPL packs them
	AggregateBytes int           // size of a packed record; 0 means 51,200
	AggregateCount int           // user records in a packed record; 0 means no limit
	CollectBytes   int           // records are collected into one request up to this size; 0 means 5 MiB
	CollectCount   int           // records in one request; 0 means 500
	MaxAge         time.Duration // a record waits at most this long for others; 0 means 100 ms
	RatePercent    int           // of what a shard takes, 1 MiB and 1,000 records a second; 0 means 150, negative no limit
	Requests       int           // PutRecords under way at once; 0 means 24
	StrictOrder    bool          // one record a shard at once: those of a partition key keep their order whatever fails

	MaxRecordBytes int           // of partition key and data; 0 means 1 MiB
	BufferBytes    int           // memory for records that have no result; 0 means 32 MiB
	OnFull         Policy        // what to do when that is used up
	TTL            time.Duration // a record is retried until it is this old; 0 means 30 s
	Timeout        time.Duration // of one request; 0 means 6 s

	Client *http.Client // nil means one of the producer's own
	Logger *slog.Logger // told of records that are lost; nil discards
}

// A Record is a user record: what a program puts and a consumer gets.
type Record struct {
	PartitionKey    string // 1 to 256 characters
	ExplicitHashKey string // decimal, below 2^128: the record goes where a key of this hash would; "" means the key's own
	Data            []byte // may be used again when Put returns
}

// A Result says what became of a Record.
type Result struct {
	Err            error // why the record is lost; nil means that it is on the stream
	Shard          string
	SequenceNumber string // of the record of the stream
	SubSequence    int    // of the user record among those packed into it
	Attempts       []Attempt
}

// An Attempt is one time that a record was sent, or was to be.
type Attempt struct {
	Delay        time.Duration // since the attempt before, or since Put
	Duration     time.Duration // until the answer
	ErrorCode    string        // as the service names it; "" if the attempt was the last
	ErrorMessage string
}

// KinesisStats count since NewKinesis.
type KinesisStats struct {
	Sent       uint64 // user records that the service acknowledged
	Records    uint64 // records of the stream in which they are
	Requests   uint64 // PutRecords
	Retried    uint64 // records of the stream that were sent again
	Dropped    uint64 // user records lost: the buffer was full, they were too old, or the service forbids them
	Rejected   uint64 // user records refused for what they are
	WrongShard uint64 // user records put again, because their shard was no longer the one foreseen
	Pending    int    // user records put and in none of the above
	Bytes      int    // memory used by those
}

// A Kinesis gathers records and sends them to a stream of the Kinesis API. See the
// package comment.
type Kinesis struct {
	o       KinesisOptions
	api     api
	ownHTTP bool

	// driving holds a token: who has it collects requests and sends them.
	driving chan struct{}
	// wake tells the driver to look again.
	wake chan struct{}

	// mu is never held while sending or in a callback.
	mu       sync.Mutex
	room     sync.Cond // on mu: there is room in the buffer, or closed
	closed   bool
	gone     bool    // Close has given up what was left
	lanes    []*lane // by rising hash range
	next     []*lane // replace those when nothing is under way in a lane that leaves
	turn     int     // of the lane with which the next request begins
	shards   shardMap
	doubtful []verdict // of records that arrived in a shard that was not foreseen

	running    int       // requests
	failures   int       // requests in a row that failed as a whole
	pause      time.Time // no request before, after those
	lookAt     time.Time // when the driver looks again by itself
	ready      int       // entries sealed and never sent
	readyBytes int
	flushing   int // calls of Flush: everything sealed is due

	round   uint64         // Put gives it to records, Flush begins the next
	waiting map[uint64]int // round → records without a result
	changed chan struct{}  // closed when one of those falls to none
	lost    error          // why records were lost since Flush last asked
	used    int
	stats   KinesisStats // Bytes is worked out
}

// NewKinesis returns a producer of records. It starts nothing and connects to nothing.
func NewKinesis(o KinesisOptions) (*Kinesis, error) {
	if o.Stream == "" {
		return nil, errors.New("producer: Stream must be the name or the ARN of a stream")
	}
	setKinesisDefaults(&o)
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("producer: URL must be like http://127.0.0.1:4567, got %q", o.URL)
	}
	for _, limit := range []struct {
		name       string
		value, max int
	}{
		{"AggregateBytes", o.AggregateBytes, 1 << 20}, {"AggregateCount", o.AggregateCount, kpl.DefaultMaxCount},
		{"CollectBytes", o.CollectBytes, 10 << 20}, {"CollectCount", o.CollectCount, 500},
		{"Requests", o.Requests, 1000}, {"MaxRecordBytes", o.MaxRecordBytes, 10 << 20},
	} {
		if limit.value < 0 || limit.value > limit.max {
			return nil, fmt.Errorf("producer: %s must be 0 to %d, got %d", limit.name, limit.max, limit.value)
		}
	}
	k := &Kinesis{
		o:       o,
		driving: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		waiting: make(map[uint64]int),
	}
	k.shards.stale = true
	k.room.L = &k.mu
	if k.o.Client == nil {
		k.ownHTTP = true
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = o.Requests
		k.o.Client = &http.Client{Transport: transport}
	}
	k.api = api{o: &k.o, url: u.Scheme + "://" + u.Host + "/"}
	k.lanes = []*lane{k.newLane(shard{last: maxHash})} // until the shards are known
	return k, nil
}

func setKinesisDefaults(o *KinesisOptions) {
	set := func(p *int, to int) {
		if *p == 0 {
			*p = to
		}
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.URL == "" {
		o.URL = "https://kinesis." + o.Region + ".amazonaws.com"
	}
	set(&o.AggregateBytes, kpl.DefaultMaxBytes)
	set(&o.CollectBytes, 5<<20)
	set(&o.CollectCount, 500)
	set(&o.RatePercent, 150)
	set(&o.Requests, 24)
	set(&o.MaxRecordBytes, 1<<20)
	set(&o.BufferBytes, 32<<20)
	if o.MaxAge == 0 {
		o.MaxAge = 100 * time.Millisecond
	}
	if o.TTL == 0 {
		o.TTL = 30 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 6 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// ErrFull is the error of Put under the policy Drop when the buffer is full.
var ErrFull = errors.New("producer: record dropped, the buffer was full")

// Put takes a record, to be sent. It never waits for the network, and only under the
// policy Block for room. An error says that the record was not taken: it may not be, or
// there is no room, or the producer is closed. Of a record that was taken done is told the
// result, once, without locks; it may be nil, and must not wait: other results wait for it.
func (k *Kinesis) Put(r Record, done func(Result)) error {
	hash, err := k.check(&r)
	if err != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.stats.Rejected++
		return err
	}
	u := user{key: r.PartitionKey, explicit: r.ExplicitHashKey, hash: hash, size: len(r.Data), done: done}
	k.mu.Lock()
	defer k.mu.Unlock()
	for !k.closed && k.used >= k.o.BufferBytes {
		if k.o.OnFull == Drop {
			k.stats.Dropped++
			k.lost = ErrFull
			return ErrFull
		}
		k.signal() // the driver sends what is being gathered when it is MaxAge old
		k.room.Wait()
	}
	if k.closed {
		k.stats.Dropped++
		return ErrClosed
	}
	u.born = time.Now()
	u.round = k.round
	k.waiting[u.round]++
	k.stats.Pending++
	k.used += u.bytes()
	k.addLocked(u, r.Data)
	return nil
}

// Send puts a record and waits for its result. If ctx ends first the outcome is unknown.
func (k *Kinesis) Send(ctx context.Context, r Record) (Result, error) {
	got := make(chan Result, 1)
	if err := k.Put(r, func(r Result) { got <- r }); err != nil {
		return Result{Err: err}, err
	}
	select {
	case r := <-got:
		return r, r.Err
	case <-ctx.Done():
		return Result{Err: ctx.Err()}, ctx.Err()
	}
}

// check looks that a record may be put, and returns its hash.
func (k *Kinesis) check(r *Record) (hash, error) {
	if !utf8.ValidString(r.PartitionKey) {
		return hash{}, fmt.Errorf("producer: PartitionKey: must be UTF-8, got %.60q", r.PartitionKey)
	}
	if n := utf8.RuneCountInString(r.PartitionKey); n < 1 || n > 256 {
		return hash{}, fmt.Errorf("producer: PartitionKey: must have 1 to 256 characters, got %d", n)
	}
	if n := len(r.PartitionKey) + len(r.Data); n > k.o.MaxRecordBytes {
		return hash{}, fmt.Errorf("producer: PartitionKey and Data: must have at most %d bytes, got %d", k.o.MaxRecordBytes, n)
	}
	if r.ExplicitHashKey == "" {
		return md5.Sum([]byte(r.PartitionKey)), nil
	}
	h, ok := parseHash(r.ExplicitHashKey)
	if !ok {
		return hash{}, fmt.Errorf("producer: ExplicitHashKey: must be a decimal number below 2^128, got %.60q", r.ExplicitHashKey)
	}
	return h, nil
}

// A hash is a number of 128 bits, highest byte first. Go's order of arrays has no <, so
// that comparing is bytes.Compare.
type hash = [16]byte

var maxHash = hash{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// parseHash reads a decimal number below 2^128, written without sign or leading zeros.
func parseHash(s string) (h hash, ok bool) {
	if s == "" || len(s) > 39 || len(s) > 1 && s[0] == '0' {
		return h, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return h, false
		}
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || n.BitLen() > 128 {
		return h, false
	}
	n.FillBytes(h[:])
	return h, true
}

func hashText(h hash) string { return new(big.Int).SetBytes(h[:]).String() }

// Stats returns the counters.
func (k *Kinesis) Stats() KinesisStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.stats
	s.Bytes = k.used
	return s
}

// signal tells the driver to look again.
func (k *Kinesis) signal() {
	select {
	case k.wake <- struct{}{}:
	default: // it has been told already
	}
}
