package kinesis

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"freshet/stream"
)

const (
	maxListedStreams   = 100
	maxListedShards    = 1000
	maxListedConsumers = 100
)

func (s *Service) listStreams(_ context.Context, in *ListStreamsInput) (*ListStreamsOutput, error) {
	after := in.ExclusiveStartStreamName
	if in.NextToken != nil {
		if after != nil {
			return nil, invalidArgument("NextToken and ExclusiveStartStreamName cannot be provided together.")
		}
		t, failed := s.openToken("ListStreams", *in.NextToken)
		if failed != nil {
			return nil, failed
		}
		after = &t.After
	}
	now := s.options.Now()
	for _, str := range s.log.Streams() { // those that something else made
		s.streamByName(str.Name())
	}
	all := s.index.Load().byName
	names := slices.Sorted(maps.Keys(all))
	if after != nil {
		at, found := slices.BinarySearch(names, *after)
		if found {
			at++
		}
		names = names[at:]
	}
	limit := maxListedStreams
	if in.Limit != nil {
		limit = min(limit, *in.Limit)
	}
	out := &ListStreamsOutput{StreamNames: []string{}, HasMoreStreams: len(names) > limit}
	for _, name := range names[:min(limit, len(names))] {
		st := all[name]
		v := st.view.Load()
		out.StreamNames = append(out.StreamNames, name)
		out.StreamSummaries = append(out.StreamSummaries, StreamSummary{
			StreamName: name, StreamARN: st.arn, StreamStatus: v.status(now), StreamModeDetails: modeDetails(v),
			StreamCreationTimestamp: timestamp(st.stream.Created()),
		})
	}
	if out.HasMoreStreams {
		out.NextToken = s.sealToken(listToken{List: "ListStreams", After: names[limit-1]})
	}
	return out, nil
}

// A shardFilter is a ShardFilter that was checked.
type shardFilter struct {
	Type  string         `json:"y"`
	At    int64          `json:"m,omitempty"` // epoch milliseconds
	After stream.ShardID `json:"i,omitempty"`
}

func (s *Service) listShards(_ context.Context, in *ListShardsInput) (*ListShardsOutput, error) {
	st, after, filter, failed := s.startOfShards(in)
	if failed != nil {
		return nil, failed
	}
	now := s.options.Now()
	if status := st.status(now); status != active && status != updating {
		return nil, s.notActive(st, status)
	}
	shards, failed := shardsAfter(st.stream.Shards(), after)
	if failed != nil {
		return nil, failed
	}
	shards = filter.choose(st.stream, shards, now)
	limit := maxListedShards
	if in.MaxResults != nil {
		limit = min(limit, *in.MaxResults)
	}
	out := &ListShardsOutput{Shards: describeShards(shards[:min(limit, len(shards))])}
	if len(shards) > limit {
		out.NextToken = s.sealToken(listToken{List: "ListShards", Stream: st.stream.Number(), After: shards[limit-1].ID().String(), Filter: filter})
	}
	return out, nil
}

// startOfShards reads where a ListShards starts and what it asks for.
func (s *Service) startOfShards(in *ListShardsInput) (*streamState, *string, *shardFilter, *Error) {
	if in.NextToken != nil {
		for _, other := range []struct {
			given bool
			name  string
		}{
			{in.StreamName != nil, "StreamName"},
			{in.StreamARN != nil, "StreamARN"},
			{in.StreamId != nil, "StreamId"},
			{in.ExclusiveStartShardId != nil, "ExclusiveStartShardId"},
			{in.StreamCreationTimestamp != nil, "StreamCreationTimestamp"},
			{in.ShardFilter != nil, "ShardFilter"},
		} {
			if other.given {
				return nil, nil, nil, invalidArgument("NextToken and %s cannot be provided together.", other.name)
			}
		}
		t, failed := s.openToken("ListShards", *in.NextToken)
		if failed != nil {
			return nil, nil, nil, failed
		}
		st, failed := s.streamByNumber(t.Stream)
		return st, &t.After, t.Filter, failed
	}
	if in.StreamName == nil && in.StreamARN == nil && in.StreamId == nil {
		return nil, nil, nil, invalidArgument("Either NextToken or StreamName should be provided.")
	}
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed == nil && !madeAt(st, in.StreamCreationTimestamp) {
		failed = s.noStream(st.name)
	}
	if failed != nil {
		return nil, nil, nil, failed
	}
	filter, failed := s.checkFilter(in.ShardFilter)
	return st, in.ExclusiveStartShardId, filter, failed
}

// madeAt says whether a stream is the one of that creation time, which clients send in
// milliseconds or cut to seconds.
func madeAt(st *streamState, at *Timestamp) bool {
	if at == nil {
		return true
	}
	ms := st.stream.Created().UnixMilli()
	return int64(*at) == ms || int64(*at) == ms/1000*1000
}

// streamByNumber finds the stream of a token.
func (s *Service) streamByNumber(n uint64) (*streamState, *Error) {
	for _, st := range s.index.Load().byName {
		if st.stream.Number() == n {
			return st, nil
		}
	}
	return nil, resourceNotFound("The stream of the NextToken under account %s not found.", s.options.Account)
}

func (s *Service) checkFilter(in *ShardFilter) (*shardFilter, *Error) {
	if in == nil {
		return nil, nil
	}
	f := &shardFilter{Type: *in.Type}
	timed := f.Type == "AT_TIMESTAMP" || f.Type == "FROM_TIMESTAMP"
	switch {
	case f.Type == "AFTER_SHARD_ID" && in.ShardId == nil:
		return nil, invalidArgument("ShardId must be provided in the ShardFilter when its type is %s.", f.Type)
	case f.Type != "AFTER_SHARD_ID" && in.ShardId != nil:
		return nil, invalidArgument("ShardId cannot be provided in the ShardFilter when its type is %s.", f.Type)
	case timed && in.Timestamp == nil:
		return nil, invalidArgument("Timestamp must be provided in the ShardFilter when its type is %s.", f.Type)
	case !timed && in.Timestamp != nil:
		return nil, invalidArgument("Timestamp cannot be provided in the ShardFilter when its type is %s.", f.Type)
	case timed:
		now := s.options.Now().UnixMilli()
		if f.At = int64(*in.Timestamp); f.At > now {
			return nil, invalidArgument("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", f.At, now)
		}
	case f.Type == "AFTER_SHARD_ID":
		id, err := stream.ParseShardID(*in.ShardId)
		if err != nil {
			return nil, invalidArgument("ShardId %s is not valid.", *in.ShardId)
		}
		f.After = id
	}
	return f, nil
}

// choose returns the shards that a filter asks for; nil asks for all that are kept.
func (f *shardFilter) choose(str *stream.Stream, shards []*stream.Shard, now time.Time) []*stream.Shard {
	if f == nil {
		return shards
	}
	horizon := str.Created().UnixMilli()
	if d := str.Retention(); d > 0 {
		horizon = max(horizon, now.Add(-d).UnixMilli())
	}
	var chosen []*stream.Shard
	for _, sh := range shards {
		if f.wants(str, sh, horizon) {
			chosen = append(chosen, sh)
		}
	}
	return chosen
}

func (f *shardFilter) wants(str *stream.Stream, sh *stream.Shard, horizon int64) bool {
	at := max(f.At, horizon)
	closed, _, isClosed := sh.Closed()
	until := !isClosed || closed.UnixMilli() >= at // open then or later
	switch f.Type {
	case "AFTER_SHARD_ID":
		return sh.ID() > f.After
	case "AT_LATEST":
		return !isClosed
	case "FROM_TRIM_HORIZON", "FROM_TIMESTAMP":
		return until
	}
	return until && openedAt(str, sh) <= at // AT_TRIM_HORIZON, AT_TIMESTAMP
}

// openedAt is when a shard began to take records, in epoch milliseconds: as its parents
// were closed, where they are still kept; Created is cut to seconds.
func openedAt(str *stream.Stream, sh *stream.Shard) int64 {
	opened := sh.Created().UnixMilli()
	for _, id := range sh.Parents() {
		if parent, ok := str.Shard(id); ok {
			if closed, _, ok := parent.Closed(); ok {
				opened = max(opened, closed.UnixMilli())
			}
		}
	}
	return opened
}

// shardsAfter leaves out the shards up to an id, in the order of ids. An id that no shard
// can have is refused.
func shardsAfter(shards []*stream.Shard, after *string) ([]*stream.Shard, *Error) {
	if after == nil {
		return shards, nil
	}
	id, err := stream.ParseShardID(*after)
	if err != nil {
		return nil, invalidArgument("ExclusiveStartShardId %s is not valid.", *after)
	}
	at, found := slices.BinarySearchFunc(shards, id, func(sh *stream.Shard, id stream.ShardID) int { return int(int64(sh.ID()) - int64(id)) })
	if found {
		at++
	}
	return shards[at:], nil
}

func describeShards(shards []*stream.Shard) []ShardDescription {
	all := make([]ShardDescription, len(shards))
	for i, sh := range shards {
		first, last := sh.Range()
		d := ShardDescription{
			ShardId:             sh.ID().String(),
			HashKeyRange:        HashKeyRange{StartingHashKey: first.String(), EndingHashKey: last.String()},
			SequenceNumberRange: SequenceNumberRange{StartingSequenceNumber: sh.FirstSequence().String()},
		}
		if _, _, closed := sh.Closed(); closed {
			d.SequenceNumberRange.EndingSequenceNumber = sh.LastSequence().String()
		}
		if parents := sh.Parents(); len(parents) > 0 {
			d.ParentShardId = parents[0].String()
			if len(parents) > 1 {
				d.AdjacentParentShardId = parents[1].String()
			}
		}
		all[i] = d
	}
	return all
}

func (s *Service) listStreamConsumers(_ context.Context, in *ListStreamConsumersInput) (*ListStreamConsumersOutput, error) {
	st, failed := s.lookup(in.StreamARN, nil, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	after := ""
	if in.NextToken != nil {
		if in.StreamCreationTimestamp != nil {
			return nil, invalidArgument("NextToken and StreamCreationTimestamp cannot be provided together.")
		}
		t, failed := s.openToken("ListStreamConsumers", *in.NextToken)
		if failed == nil && t.Stream != st.stream.Number() {
			failed = invalidArgument("NextToken is not one of stream %s.", st.name)
		}
		if failed != nil {
			return nil, failed
		}
		after = t.After
	}
	if !madeAt(st, in.StreamCreationTimestamp) {
		return nil, s.noStream(st.name)
	}
	now := s.options.Now()
	consumers := slices.DeleteFunc(st.view.Load().kept(now), func(c consumerRecord) bool { return after != "" && c.Name <= after })
	limit := maxListedConsumers
	if in.MaxResults != nil {
		limit = min(limit, *in.MaxResults)
	}
	out := &ListStreamConsumersOutput{Consumers: []Consumer{}}
	for _, c := range consumers[:min(limit, len(consumers))] {
		out.Consumers = append(out.Consumers, describeConsumer(st, &c, now))
	}
	if len(consumers) > limit {
		out.NextToken = s.sealToken(listToken{List: "ListStreamConsumers", Stream: st.stream.Number(), After: consumers[limit-1].Name})
	}
	return out, nil
}

// consumerARN names a consumer: one of the same name that is registered later has another.
func consumerARN(st *streamState, c *consumerRecord) string {
	return st.arn + "/consumer/" + c.Name + ":" + strconv.FormatInt(c.Created/1000, 10)
}
