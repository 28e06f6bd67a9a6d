package kinesis

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// maxTags bounds the tags of a resource.
const maxTags = 50

// checkTags refuses tags that a resource which has some may not get.
func checkTags(has, more map[string]string) error {
	count := len(has)
	for key, value := range more {
		if err := checkTagText(key); err != nil {
			return err
		}
		if err := checkTagText(value); err != nil {
			return err
		}
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalidArgument("Tag key %s is reserved: keys that begin with aws: cannot be set.", key)
		}
		if key == limitsTag && value != "kinesis" && value != "none" {
			return invalidArgument("Tag %s has value %q; kinesis and none are allowed.", limitsTag, value)
		}
		if _, ok := has[key]; !ok {
			count++
		}
	}
	if count > maxTags {
		return invalidArgument("A resource cannot have more than %d tags associated with it; with this request it would have %d.", maxTags, count)
	}
	return nil
}

func checkTagText(text string) error {
	for _, c := range text {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsSpace(c) && !strings.ContainsRune("_.:/=+-%@", c) {
			return invalidArgument("Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.")
		}
	}
	return nil
}

// addTags puts tags into a map, which may be nil.
func addTags(to *map[string]string, tags map[string]string) error {
	if err := checkTags(*to, tags); err != nil {
		return err
	}
	if *to == nil {
		*to = map[string]string{}
	}
	maps.Copy(*to, tags)
	return nil
}

func removeTags(from map[string]string, keys []string) error {
	for _, key := range keys {
		if err := checkTagText(key); err != nil {
			return err
		}
		delete(from, key)
	}
	return nil
}

// listTags are tags by key.
func listTags(tags map[string]string) []Tag {
	list := []Tag{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, Tag{Key: key, Value: tags[key]})
	}
	return list
}

func (s *Service) addTagsToStream(ctx context.Context, in *AddTagsToStreamInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.changeSettled(ctx, st, func(r *streamRecord, _ time.Time) error { return addTags(&r.Tags, in.Tags) })
}

func (s *Service) removeTagsFromStream(ctx context.Context, in *RemoveTagsFromStreamInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.changeSettled(ctx, st, func(r *streamRecord, _ time.Time) error { return removeTags(r.Tags, in.TagKeys) })
}

func (s *Service) listTagsForStream(_ context.Context, in *ListTagsForStreamInput) (*ListTagsForStreamOutput, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	tags := listTags(st.view.Load().Tags)
	if after := in.ExclusiveStartTagKey; after != nil {
		tags = slices.DeleteFunc(tags, func(t Tag) bool { return t.Key <= *after })
	}
	limit := maxTags
	if in.Limit != nil {
		limit = *in.Limit
	}
	return &ListTagsForStreamOutput{Tags: tags[:min(limit, len(tags))], HasMoreTags: len(tags) > limit}, nil
}

func (s *Service) tagResource(ctx context.Context, in *TagResourceInput) (*void, error) {
	return nil, s.changeResource(ctx, *in.ResourceARN, in.StreamId, func(r *resource) error { return addTags(r.tags, in.Tags) })
}

func (s *Service) untagResource(ctx context.Context, in *UntagResourceInput) (*void, error) {
	return nil, s.changeResource(ctx, *in.ResourceARN, in.StreamId, func(r *resource) error { return removeTags(*r.tags, in.TagKeys) })
}

func (s *Service) listTagsForResource(_ context.Context, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	r, failed := s.readResource(*in.ResourceARN, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return &ListTagsForResourceOutput{listTags(*r.tags)}, nil
}

// A resource is what a ResourceARN names, a stream or a consumer, in a record.
type resource struct {
	tags   *map[string]string
	policy *string
}

// splitResource divides the ARN of a resource into that of the stream and the consumer's part.
func splitResource(arn string) (streamARN, consumer string) {
	streamARN, consumer, _ = strings.Cut(arn, "/consumer/")
	return streamARN, consumer
}

// readResource looks at a resource. The caller changes nothing.
func (s *Service) readResource(arn string, streamID *string) (*resource, *Error) {
	streamARN, consumer := splitResource(arn)
	st, failed := s.lookup(&streamARN, nil, streamID)
	if failed != nil {
		return nil, failed
	}
	r := st.view.Load().streamRecord
	if consumer == "" {
		return &resource{&r.Tags, &r.Policy}, nil
	}
	c, failed := s.consumerIn(st, &r, consumer, s.options.Now())
	if failed != nil {
		return nil, failed
	}
	return &resource{&c.Tags, &c.Policy}, nil
}

// changeResource edits a stream that is ACTIVE or UPDATING, or an ACTIVE consumer.
func (s *Service) changeResource(ctx context.Context, arn string, streamID *string, edit func(*resource) error) error {
	streamARN, consumer := splitResource(arn)
	st, failed := s.lookup(&streamARN, nil, streamID)
	if failed != nil {
		return failed
	}
	return s.changeSettled(ctx, st, func(r *streamRecord, now time.Time) error {
		if consumer == "" {
			return edit(&resource{&r.Tags, &r.Policy})
		}
		c, failed := s.consumerIn(st, r, consumer, now)
		if failed != nil {
			return failed
		}
		if c.status(now) != active {
			return s.consumerNotActive(st, c.Name, c.Created)
		}
		return edit(&resource{&c.Tags, &c.Policy})
	})
}
