// Package producer is the Go SDK: it sends points to Freshet, and records to any stream
// of the Kinesis API.
//
// # Use
//
// A program makes one [Producer], runs it, and takes a handle for each series that it
// reports. A handle resolves its labels once; reporting through it costs some tens of
// nanoseconds, allocates nothing and never waits for the network:
//
//	p, err := producer.New(producer.Options{URL: "http://127.0.0.1:8080"})
//	…
//	go p.Run(ctx)
//	defer p.Close(context.Background())
//
//	orders := p.Counter("shop.orders", producer.Labels{"country": "DE"})
//	orders.Add(1)
//
// A program that sends something and ends, such as a script, needs no Run: Flush and Close
// send by themselves.
//
// # Batching and memory
//
// Points are gathered into batches, which are sealed when they are large or old enough
// and sent one after the other, so that the order of points is kept. What waits is bounded by
// Options.BufferBytes; when that is used up Options.OnFull decides between waiting and
// dropping the new point. Dropped points are counted, never silently lost.
//
// # Failures
//
// A batch that the server did not take (no connection, no answer, 5xx, 429) is sent again
// after a pause that grows from 0.1 s to 10 s, half of it random, or as long as the server's
// Retry-After says, until it is Options.TTL old; then it is dropped and counted. A point
// counts as sent after the server answered, which it does when the point is on disk.
// When an answer is lost on the way the batch is sent again, under the same key, by which the
// server tells it from a new one and counts its points once. Points that the server refuses are
// not sent again; they are counted and reported to Options.OnReject.
//
// # Records
//
// A [Kinesis] puts user records (a partition key and bytes) on a stream, on Freshet's
// Kinesis listener or at Amazon. Records for one shard are packed into one as the Kinesis
// Producer Library packs them ([freshet/stream/kpl]), packed ones are collected into
// PutRecords requests, and each shard is sent no more than it takes. Of a request that was
// taken in part only the rest is sent again, after a pause, until it is
// KinesisOptions.TTL old. A reshard shows in the answers: the shards are listed anew, and
// records that arrived in a shard which is not theirs, where consumers skip them, are put
// again: records are delivered at least once. Each record gets a [Result]. As with the KPL a record that is sent again may come
// after later ones of its key; StrictOrder sends one record a shard at a time, so that it
// does not. Run, Flush and Close are as of a [Producer]. With Options.Kinesis a Producer
// puts its points on such a stream, each series of a batch under a key of its own, so that
// Freshet counts what arrives twice once.
//
// # After a crash
//
// What was added and not acknowledged is in memory only and is gone with the process.
//
// # Concurrency
//
// Everything may be called from any goroutine. A Producer starts no goroutines; the one
// that calls Run is the caller's, and one post is under way at any time. A Kinesis starts
// one for each request under way, inside Run, Flush or Close, which wait for them.
package producer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"freshet/ingest/point"
)

// Labels are the dimensions of a series: name → value.
type Labels map[string]string

// A Policy says what happens to a new point when the buffer is full.
type Policy uint8

const (
	Drop  Policy = iota // the new point is dropped and counted
	Block               // the caller waits until there is room
)

// A Compression says how posts are compressed.
type Compression uint8

const (
	None Compression = iota // right for a server near by: batches are compact
	Gzip
	Zstd
)

// Options say where to send and how. The zero value of every field but URL is of use.
type Options struct {
	URL    string       // of the server, such as http://127.0.0.1:8080; required without Kinesis
	Token  string       // with scope ingest; "" sends none
	Labels Labels       // given to every series that does not have a label of that name itself
	Client *http.Client // nil means one of the producer's own

	BatchPoints int           // a batch is sealed when it has so many points; 0 means 2000, at most point.MaxBatchPoints
	BatchAge    time.Duration // Run seals a batch at least this often; 0 means 1 s
	BufferBytes int           // memory for points that are not yet sent; 0 means 16 MiB
	OnFull      Policy        // what to do when that is used up
	Compression Compression

	TTL     time.Duration // a batch is retried until it is this old; 0 means 5 min
	Timeout time.Duration // of one post; 0 means 30 s

	// Kinesis puts the points on a stream that Freshet reads, such as metrics, instead of
	// posting them; URL, Token, Client, Compression, TTL and Timeout are then not used. The
	// caller runs and closes it after the producer.
	Kinesis *Kinesis

	// OnReject is told of points that are no points: by the handles, or by the server
	// (which reports 20 of each post). It is called without locks, by the goroutine that
	// added the point or the one that sends; nil means nobody is told.
	OnReject func(Rejection)

	Logger *slog.Logger // told of batches that are dropped; nil discards
}

// A Rejection is a point that was refused for what it is. It is never sent again.
type Rejection struct {
	Series point.Series
	Time   int64 // epoch milliseconds
	Reason string
}

// Stats count since New.
type Stats struct {
	Sent     uint64 // points that the server acknowledged
	Retried  uint64 // posts that were repeats
	Dropped  uint64 // points lost: the buffer was full, a batch was too old, or the server forbids posting
	Rejected uint64 // points refused for what they are
	Pending  int    // points added and in none of the above
	Bytes    int    // memory used by those
}

// A Producer gathers points and sends them. See the package comment.
type Producer struct {
	o        Options
	endpoint string
	ownHTTP  bool
	zstd     *zstd.Encoder
	labels   []point.Label // Options.Labels, sorted
	id       [16]byte      // random; the keys of what is sent are numbers from it on

	// sending holds a token: who has it sends the batch at the head of the queue.
	sending chan struct{}
	// wake tells Run that a batch was sealed.
	wake chan struct{}
	// records is how many were put on Options.Kinesis; who has the sending token counts.
	records uint64

	// mu is never held while sending.
	mu       sync.Mutex
	room     sync.Cond // on mu: there is room in the buffer, or closed
	closed   bool
	current  point.Builder
	epoch    uint64    // of current: handles know their number in it
	born     time.Time // when current got its first point
	member   []byte    // scratch
	queue    []*batch  // sealed, oldest first
	queued   int       // bytes in queue
	sealed   uint64    // batches ever sealed
	finished uint64    // batches ever sent or given up; they finish in order
	changed  chan struct{}
	lost     error // why points were lost since Flush last asked
	stats    Stats // Pending and Bytes are worked out
}

// A batch is sealed: nothing is added to it.
type batch struct {
	seq     uint64 // from 1
	payload []byte
	points  int
	born    time.Time
	tries   int
	due     time.Time // not sent again before, whoever sends

	delivery *delivery // what is on its way by Options.Kinesis; owned by who has the sending token
}

// New returns a producer. It starts nothing and connects to nothing.
func New(o Options) (*Producer, error) {
	endpoint, err := endpointOf(&o)
	if err != nil {
		return nil, err
	}
	if o.BatchPoints < 0 || o.BatchPoints > point.MaxBatchPoints {
		return nil, fmt.Errorf("producer: BatchPoints must be 0 to %d, got %d", point.MaxBatchPoints, o.BatchPoints)
	}
	setDefaults(&o)
	p := &Producer{
		o:        o,
		endpoint: endpoint,
		sending:  make(chan struct{}, 1),
		wake:     make(chan struct{}, 1),
		changed:  make(chan struct{}),
		epoch:    1,
	}
	rand.Read(p.id[:]) // it never fails
	p.room.L = &p.mu
	if p.o.Client == nil {
		p.ownHTTP = true
		p.o.Client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	if o.Compression == Zstd {
		p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			return nil, fmt.Errorf("producer: %w", err)
		}
	}
	for name, value := range o.Labels {
		p.labels = append(p.labels, point.Label{Name: name, Value: value})
	}
	slices.SortFunc(p.labels, byName)
	return p, nil
}

// endpointOf returns where posts go.
func endpointOf(o *Options) (string, error) {
	if o.Kinesis != nil {
		if o.URL != "" {
			return "", fmt.Errorf("producer: URL must be empty beside Kinesis, got %q", o.URL)
		}
		return "", nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("producer: URL must be like http://127.0.0.1:8080, got %q", o.URL)
	}
	return strings.TrimSuffix(u.String(), "/") + "/api/v1/points", nil
}

func byName(a, b point.Label) int { return strings.Compare(a.Name, b.Name) }

func setDefaults(o *Options) {
	if o.BatchPoints == 0 {
		o.BatchPoints = 2000
	}
	if o.BatchAge == 0 {
		o.BatchAge = time.Second
	}
	if o.BufferBytes == 0 {
		o.BufferBytes = 16 << 20
	}
	if o.TTL == 0 {
		o.TTL = 5 * time.Minute
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Stats returns the counters.
func (p *Producer) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Pending = p.current.Len()
	for _, b := range p.queue {
		s.Pending += b.points
	}
	s.Bytes = p.usedLocked()
	return s
}

// usedLocked is the memory taken by points that are not yet sent.
func (p *Producer) usedLocked() int {
	if p.current.Len() == 0 {
		return p.queued
	}
	return p.queued + p.current.Size()
}

// sealedBytes is how large a batch grows before it is sealed whatever BatchPoints says.
const sealedBytes = 512 << 10

// sealLocked makes a batch of the points gathered.
func (p *Producer) sealLocked() {
	if p.current.Len() == 0 {
		return
	}
	p.sealed++
	payload := p.current.EncodeKeyed(nil, point.KeyOf(p.id, p.sealed))
	b := &batch{seq: p.sealed, payload: payload, points: p.current.Len(), born: p.born}
	p.queue = append(p.queue, b)
	p.queued += len(b.payload)
	p.current.Reset()
	p.epoch++
	select {
	case p.wake <- struct{}{}:
	default: // Run has been told already
	}
}

// ErrClosed is the error of Run after Close.
var ErrClosed = errors.New("producer: closed")

// errFull is why points are lost under the policy Drop.
var errFull = errors.New("producer: points dropped, the buffer was full")
