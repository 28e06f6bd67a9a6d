package kinesis

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"freshet/stream"
	"freshet/stream/kv"

	"golang.org/x/sync/semaphore"
)

const (
	defaultRegion  = "us-east-1"
	defaultAccount = "000000000000"
	defaultSettle  = 500 * time.Millisecond

	defaultShardLimit = 500
)

// Options say what a service serves and whom.
type Options struct {
	Log   *stream.Log // the streams
	Store kv.Store    // what this API knows of them beyond the log: tags, consumers, modes

	Region      string        // in ARNs and in the scope of a signature; "" means us-east-1
	Account     string        // in ARNs, 12 digits; "" means 000000000000
	Settle      time.Duration // how long CREATING, UPDATING and DELETING last; 0 means 500 ms, negative none
	ShardLimits bool          // hold shards to the throughput of the service, where a stream does not say otherwise
	ShardLimit  int           // open shards of all provisioned streams together; 0 means 500
	Reserved    []string      // streams of the server itself: all may be done to them but delete

	Keys    []AccessKey // whose signatures pass
	AuthOff bool        // any well-formed signature passes; then Keys may be empty

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
}

// An AccessKey is what a client signs its requests with.
type AccessKey struct{ ID, Secret string }

func (o Options) withDefaults() Options {
	if o.Region == "" {
		o.Region = defaultRegion
	}
	if o.Account == "" {
		o.Account = defaultAccount
	}
	if o.Settle == 0 {
		o.Settle = defaultSettle
	}
	o.Settle = max(o.Settle, 0)
	if o.ShardLimit == 0 {
		o.ShardLimit = defaultShardLimit
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (o Options) check() error {
	if o.Log == nil {
		return errors.New("kinesis: Log is nil")
	}
	if o.Store == nil {
		return errors.New("kinesis: Store is nil")
	}
	if len(o.Account) != 12 || !isDigits(o.Account) {
		return fmt.Errorf("kinesis: account %.20q is not 12 digits", o.Account)
	}
	if !o.AuthOff && len(o.Keys) == 0 {
		return errors.New("kinesis: no access key, and AuthOff is not set: no request could pass")
	}
	for i, k := range o.Keys {
		if k.ID == "" || k.Secret == "" {
			return fmt.Errorf("kinesis: access key %d has no id or no secret", i)
		}
	}
	return nil
}

// A Service answers the API. Its methods may be called by several goroutines at once.
type Service struct {
	options    Options
	log        *stream.Log
	store      kv.Store
	operations map[string]*operation
	secrets    map[string]string   // by the access key's id
	bodies     *semaphore.Weighted // bytes of request bodies in memory
	control
	data
}

// New reads the store. It starts nothing.
func New(o Options) (*Service, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Service{
		options: o, log: o.Log, store: o.Store, operations: operations(),
		secrets: make(map[string]string, len(o.Keys)), bodies: semaphore.NewWeighted(maxBodiesInFlight),
	}
	for _, k := range o.Keys {
		s.secrets[k.ID] = k.Secret
	}
	if err := s.load(context.Background()); err != nil {
		return nil, err
	}
	s.tokens = sealFor("list token", s.secret[:], cipher.NewGCMWithRandomNonce)
	s.prepare(s.secret[:])
	return s, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
