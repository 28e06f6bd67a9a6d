package kinesis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"freshet/stream/kv"
)

// What the store holds. An intent is the record of a stream that is being made: its
// number is not known before the log has it.
const (
	streamKeys = "kinesis/stream/"
	intentKeys = "kinesis/create/"
	accountKey = "kinesis/account"
	secretKey  = "kinesis/secret"
)

func (st *streamState) key() string { return streamKeys + strconv.FormatUint(st.stream.Number(), 10) }

// load reads the store: what it knows of the streams of the log, and of the account. A
// stream that a crash left with an intent gets its record; records and intents of
// streams that are not in the log are dropped.
func (s *Service) load(ctx context.Context) error {
	s.arnPrefix = fmt.Sprintf("arn:aws:kinesis:%s:%s:stream/", s.options.Region, s.options.Account)
	s.wake = make(chan struct{}, 1)
	if err := s.loadSecret(ctx); err != nil {
		return err
	}
	if err := s.loadAccount(ctx); err != nil {
		return err
	}
	records, err := s.store.List(ctx, streamKeys)
	if err != nil {
		return fmt.Errorf("read the records of streams: %w", err)
	}
	byKey := map[string]kv.Entry{}
	for _, e := range records {
		byKey[e.Key] = e
	}
	states := map[string]*streamState{}
	for _, str := range s.log.Streams() {
		st := s.state(str)
		r := streamRecord{Name: st.name}
		e, ok := byKey[st.key()]
		if ok {
			if r, err = decodeRecord(e); err != nil {
				return err
			}
			delete(byKey, st.key())
		}
		st.show(r, e.Revision)
		states[st.name] = st
	}
	if err := s.loadIntents(ctx, states); err != nil {
		return err
	}
	s.reindex(func(x *streamIndex) {
		for _, st := range states {
			x.byName[st.name], x.byID[st.id] = st, st
		}
	})
	for _, e := range byKey { // their streams were deleted
		if err := s.drop(ctx, e.Key); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) loadIntents(ctx context.Context, states map[string]*streamState) error {
	intents, err := s.store.List(ctx, intentKeys)
	if err != nil {
		return fmt.Errorf("read the intents to make streams: %w", err)
	}
	for _, e := range intents {
		r, err := decodeRecord(e)
		if err != nil {
			return err
		}
		st := states[strings.TrimPrefix(e.Key, intentKeys)]
		if st != nil && st.view.Load().revision == 0 {
			if err := s.equip(ctx, st, r); err != nil {
				return err
			}
		}
		if err := s.drop(ctx, e.Key); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) loadSecret(ctx context.Context) error {
	for range 2 { // another server may be first to make it
		e, err := s.store.Get(ctx, secretKey)
		if err == nil && len(e.Value) != len(s.secret) {
			return fmt.Errorf("%s has %d bytes, not %d", secretKey, len(e.Value), len(s.secret))
		}
		if err == nil {
			copy(s.secret[:], e.Value)
			return nil
		}
		if !errors.Is(err, kv.ErrNotFound) {
			return fmt.Errorf("read %s: %w", secretKey, err)
		}
		fresh := make([]byte, len(s.secret))
		rand.Read(fresh)
		if _, err := s.store.Swap(ctx, secretKey, 0, fresh); err != nil && !errors.Is(err, kv.ErrConflict) {
			return fmt.Errorf("make %s: %w", secretKey, err)
		}
	}
	return fmt.Errorf("make %s: it comes and goes", secretKey)
}

func decodeRecord(e kv.Entry) (streamRecord, error) {
	var r streamRecord
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return r, fmt.Errorf("%s is not readable: %w", e.Key, err)
	}
	return r, nil
}

// put writes a value over a revision, to the end even if the client has gone.
func (s *Service) put(ctx context.Context, key string, old kv.Revision, value any) (kv.Revision, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", key, err)
	}
	revision, err := s.store.Swap(context.WithoutCancel(ctx), key, old, b)
	if errors.Is(err, kv.ErrTooLarge) {
		return 0, limitExceeded("All that is set for a resource must not exceed %d bytes; with this request it would be %d.", kv.MaxValueBytes, len(b))
	}
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	return revision, nil
}

// drop deletes what is under a key.
func (s *Service) drop(ctx context.Context, key string) error {
	ctx = context.WithoutCancel(ctx)
	for range 3 {
		e, err := s.store.Get(ctx, key)
		if errors.Is(err, kv.ErrNotFound) {
			return nil
		}
		if err == nil {
			_, err = s.store.Swap(ctx, key, e.Revision, nil)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, kv.ErrConflict) {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return fmt.Errorf("delete %s: %w", key, kv.ErrConflict)
}

// changeLocked is change; the caller holds writing.
func (s *Service) changeLocked(ctx context.Context, st *streamState, edit func(r *streamRecord, now time.Time) error) error {
	for attempt := 1; ; attempt++ {
		if err := s.refresh(ctx, st); err != nil {
			return err
		}
		v := st.view.Load()
		if v.gone {
			return s.noStream(st.name)
		}
		now := s.options.Now()
		r := v.clone()
		r.tidy(now)
		r.Name = st.name
		if err := edit(&r, now); err != nil {
			return err
		}
		revision, err := s.put(ctx, st.key(), v.revision, &r)
		if err == nil {
			st.show(r, revision)
			return nil
		}
		if _, refused := err.(*Error); refused {
			return err
		}
		st.stale = true
		if !errors.Is(err, kv.ErrConflict) || attempt == 3 {
			return err
		}
	}
}

// refresh reads the record again after a change whose outcome is unknown.
func (s *Service) refresh(ctx context.Context, st *streamState) error {
	if !st.stale || st.view.Load().gone {
		return nil
	}
	e, err := s.store.Get(context.WithoutCancel(ctx), st.key())
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("read %s: %w", st.key(), err)
	}
	r := streamRecord{Name: st.name}
	if err == nil {
		if r, err = decodeRecord(e); err != nil {
			return err
		}
	}
	st.show(r, e.Revision)
	st.stale = false
	return nil
}
