package kinesis

import (
	"context"
	"encoding/json"
)

// maxPolicyBytes bounds a resource policy.
const maxPolicyBytes = 20 << 10

// putResourcePolicy keeps a policy with a stream or a consumer. It is answered by
// GetResourcePolicy and decides nothing: who may call is decided by access keys.
func (s *Service) putResourcePolicy(ctx context.Context, in *PutResourcePolicyInput) (*void, error) {
	if err := checkPolicy(*in.Policy); err != nil {
		return nil, err
	}
	return nil, s.changeResource(ctx, *in.ResourceARN, in.StreamId, func(r *resource) error {
		*r.policy = *in.Policy
		return nil
	})
}

// checkPolicy looks for the members that every policy has.
func checkPolicy(policy string) error {
	if len(policy) > maxPolicyBytes {
		return invalidArgument("The policy has %d bytes; at most %d are allowed.", len(policy), maxPolicyBytes)
	}
	var document struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		return invalidArgument("The policy is not valid JSON: %s", err)
	}
	var statements []map[string]any
	if len(document.Statement) > 0 && document.Statement[0] == '{' {
		statements = make([]map[string]any, 1)
		_ = json.Unmarshal(document.Statement, &statements[0]) // it was read as JSON above
	} else if err := json.Unmarshal(document.Statement, &statements); err != nil || len(statements) == 0 {
		return invalidArgument("The policy has no Statement.")
	}
	for i, statement := range statements {
		for _, member := range []string{"Effect", "Principal", "Action", "Resource"} {
			if _, ok := statement[member]; !ok {
				return invalidArgument("Statement %d of the policy has no %s.", i+1, member)
			}
		}
	}
	return nil
}

// getResourcePolicy answers with an empty document where there is no policy.
func (s *Service) getResourcePolicy(_ context.Context, in *GetResourcePolicyInput) (*GetResourcePolicyOutput, error) {
	r, failed := s.readResource(*in.ResourceARN, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	if *r.policy == "" {
		return &GetResourcePolicyOutput{Policy: "{}"}, nil
	}
	return &GetResourcePolicyOutput{Policy: *r.policy}, nil
}

func (s *Service) deleteResourcePolicy(ctx context.Context, in *DeleteResourcePolicyInput) (*void, error) {
	return nil, s.changeResource(ctx, *in.ResourceARN, in.StreamId, func(r *resource) error {
		if *r.policy == "" {
			return resourceNotFound("No resource policy found for resource ARN %s", *in.ResourceARN)
		}
		*r.policy = ""
		return nil
	})
}
