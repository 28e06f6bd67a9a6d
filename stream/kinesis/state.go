package kinesis

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"freshet/stream"
	"freshet/stream/kv"
)

// control is what a service knows of its streams beyond the log. The store has every
// change before it is answered or seen; readers look at snapshots and wait for nobody.
type control struct {
	arnPrefix string        // of the streams
	secret    [32]byte      // of which the keys of tokens and iterators are derived
	tokens    cipher.AEAD   // seals the tokens of lists
	wake      chan struct{} // tells Run that there is work

	index   atomic.Pointer[streamIndex]
	account atomic.Pointer[accountView]

	// making is held while the set of streams, the account, or the number of shards that
	// the account is to have changes, I/O included. It is taken before a stream's writing.
	making sync.Mutex
}

// A streamIndex is the set of streams between two changes. It never changes.
type streamIndex struct {
	byName map[string]*streamState
	byID   map[string]*streamState
}

// A streamState is a stream and what is set for it. Its methods may be called by several
// goroutines at once.
type streamState struct {
	stream      *stream.Stream
	name        string
	id          string
	arn         string
	shardLimits bool // the service's option

	// Written under writing, read by anyone.
	view atomic.Pointer[streamView]

	// writing is held over a change, I/O included.
	writing sync.Mutex
	stale   bool // the outcome of a change is unknown: the store knows more than view
}

// A streamView is one revision of a stream's record. It never changes.
type streamView struct {
	streamRecord
	revision kv.Revision // 0: the store has none
	limits   bool
	gone     bool // the stream is deleted
}

// limitsTag is the tag by which a stream says whether its shards are held to the
// throughput of the service: "kinesis" or "none". Others leave it to the option.
const limitsTag = "freshet:shard-limits"

func (st *streamState) show(r streamRecord, revision kv.Revision) {
	limits := st.shardLimits
	switch r.Tags[limitsTag] {
	case "kinesis":
		limits = true
	case "none":
		limits = false
	}
	st.view.Store(&streamView{streamRecord: r, revision: revision, limits: limits})
}

// status is CREATING, ACTIVE, UPDATING or DELETING.
func (st *streamState) status(now time.Time) string { return st.view.Load().status(now) }

// maxRecordBytes bounds the data and the partition key of a record together.
func (st *streamState) maxRecordBytes() int { return st.view.Load().maxRecordKiB() << 10 }

// limits says whether the shards are held to the throughput of the service.
func (st *streamState) limits() bool { return st.view.Load().limits }

// auto says whether records are shared out without a look at their keys.
func (st *streamState) auto() bool {
	v := st.view.Load()
	return v.OnDemand && v.Auto
}

// encryptionType is KMS or NONE.
func (st *streamState) encryptionType() string {
	if st.stream.Encrypted() {
		return encryptionKMS
	}
	return encryptionNone
}

// find returns the stream that a call for records names by its ARN, its name or its id,
// or by several of them. A stream that is CREATING or DELETING has no records: to such a
// call it is not there. It allocates nothing when it finds one.
func (s *Service) find(arn, name, id *string) (*streamState, *Error) {
	st, err := s.lookup(arn, name, id)
	if err != nil {
		return nil, err
	}
	if status := st.status(s.options.Now()); status != active && status != updating {
		return nil, s.noStream(st.name)
	}
	return st, nil
}

// lookup is find for calls on the stream itself, whatever its status is.
func (s *Service) lookup(arn, name, id *string) (*streamState, *Error) {
	var found *streamState
	for i, given := range [...]*string{arn, name, id} {
		if given == nil {
			continue
		}
		var st *streamState
		var err *Error
		switch i {
		case 0:
			st, err = s.streamByARN(*given)
		case 1:
			st, err = s.streamByName(*given)
		case 2:
			st, err = s.streamByID(*given)
		}
		if err != nil {
			return nil, err
		}
		if found != nil && found != st {
			return nil, invalidArgument("StreamARN, StreamName and StreamId must name the same stream; they name %s and %s.", found.name, st.name)
		}
		found = st
	}
	if found == nil {
		return nil, invalidArgument("Either StreamName or StreamARN should be provided.")
	}
	return found, nil
}

func (s *Service) noStream(name string) *Error {
	return resourceNotFound("Stream %s under account %s not found.", name, s.options.Account)
}

func (s *Service) streamByName(name string) (*streamState, *Error) {
	if st := s.index.Load().byName[name]; st != nil {
		return st, nil
	}
	if st := s.adopt(name); st != nil {
		return st, nil
	}
	return nil, s.noStream(name)
}

func (s *Service) streamByID(id string) (*streamState, *Error) {
	if st := s.index.Load().byID[id]; st != nil {
		return st, nil
	}
	return nil, resourceNotFound("Stream with id %s under account %s not found.", id, s.options.Account)
}

func (s *Service) streamByARN(arn string) (*streamState, *Error) {
	if name, ok := strings.CutPrefix(arn, s.arnPrefix); ok {
		return s.streamByName(name)
	}
	_, name, _ := strings.Cut(arn, ":stream/")
	account := s.options.Account
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		account = parts[4]
	}
	return nil, resourceNotFound("Stream %s under account %s not found.", name, account)
}

// adopt takes in a stream that something other than this service has made in the log.
func (s *Service) adopt(name string) *streamState {
	if _, ok := s.log.Stream(name); !ok {
		return nil
	}
	s.making.Lock()
	defer s.making.Unlock()
	if st := s.index.Load().byName[name]; st != nil {
		return st
	}
	str, ok := s.log.Stream(name)
	if !ok {
		return nil
	}
	st := s.state(str)
	st.show(streamRecord{Name: name}, 0)
	st.stale = true
	s.enlist(st)
	return st
}

// state makes the state of a stream of the log, without a view.
func (s *Service) state(str *stream.Stream) *streamState {
	return &streamState{
		stream: str, name: str.Name(), id: s.streamID(str), arn: s.arnPrefix + str.Name(),
		shardLimits: s.options.ShardLimits,
	}
}

// enlist and delist change the index. The caller holds making.
func (s *Service) enlist(st *streamState) {
	s.reindex(func(x *streamIndex) { x.byName[st.name], x.byID[st.id] = st, st })
}

func (s *Service) delist(st *streamState) {
	s.reindex(func(x *streamIndex) {
		delete(x.byName, st.name)
		delete(x.byID, st.id)
	})
}

func (s *Service) reindex(edit func(*streamIndex)) {
	next := &streamIndex{byName: map[string]*streamState{}, byID: map[string]*streamState{}}
	if old := s.index.Load(); old != nil {
		for _, st := range old.byName {
			next.byName[st.name], next.byID[st.id] = st, st
		}
	}
	edit(next)
	s.index.Store(next)
}

// streamID derives the id of a stream from what no other stream has: 20 and 3 characters
// of the SHA-256 of the account, the region, the stream's number and its creation time,
// in base 36.
func (s *Service) streamID(str *stream.Stream) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s/%s/%s", s.options.Account, s.options.Region, str.Name())
	b := binary.BigEndian.AppendUint64(nil, str.Number())
	h.Write(binary.BigEndian.AppendUint64(b, uint64(str.Created().UnixMilli())))
	digits := fmt.Sprintf("%050s", new(big.Int).SetBytes(h.Sum(nil)).Text(36))
	digits = digits[len(digits)-23:]
	return digits[:20] + "-" + digits[20:]
}

// change edits a stream's record and makes it durable before anybody sees it. The edit
// gets a copy without what time has made void; its error is returned and changes nothing.
func (s *Service) change(ctx context.Context, st *streamState, edit func(r *streamRecord, now time.Time) error) error {
	st.writing.Lock()
	defer st.writing.Unlock()
	return s.changeLocked(ctx, st, edit)
}

// notActive is the refusal of what only an ACTIVE stream may be asked.
func (s *Service) notActive(st *streamState, status string) *Error {
	return resourceInUse("Stream %s under account %s not ACTIVE, instead in state %s", st.name, s.options.Account, status)
}

// changeActive is change for an ACTIVE stream, which becomes UPDATING.
func (s *Service) changeActive(ctx context.Context, st *streamState, edit func(r *streamRecord, now time.Time) error) error {
	return s.change(ctx, st, func(r *streamRecord, now time.Time) error {
		if status := r.status(now); status != active {
			return s.notActive(st, status)
		}
		if err := edit(r, now); err != nil {
			return err
		}
		r.begin(updating, now, s.options.Settle)
		return nil
	})
}

// changeSettled is change for a stream that is ACTIVE or UPDATING. Its status stays.
func (s *Service) changeSettled(ctx context.Context, st *streamState, edit func(r *streamRecord, now time.Time) error) error {
	return s.change(ctx, st, func(r *streamRecord, now time.Time) error {
		if status := r.status(now); status != active && status != updating {
			return s.notActive(st, status)
		}
		return edit(r, now)
	})
}
