package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
)

// leaveTries is how often a member asks to leave while its coordinator moves or is being looked for.
const leaveTries = 5

// ErrNoMember says that a group has no static member of a name.
var ErrNoMember = errors.New("the group has no static member of this name")

// Leave takes static members, by their instance ids, out of the group at once instead of after their session timeout:
// their partitions go to the others. It is for members that are gone for good; one that still runs loses its lanes and
// joins again. What could not be done is the error, ErrNoMember among it; the others have left all the same.
func Leave(ctx context.Context, config Config, members []string) error {
	s := New(config, slog.New(slog.DiscardHandler), nil)
	if err := s.open(); err != nil {
		return fmt.Errorf("kafka clients: %w", err)
	}
	defer s.close()
	if _, err := Await(ctx, &s.calls, func() (string, error) {
		return clusterID(s.control, config.Kafka.Brokers, nil)
	}); err != nil {
		return fmt.Errorf("the brokers do not respond: %w; start them, or correct kafka.brokers, kafka.tls and "+
			"kafka.sasl",
			Explain(err))
	}
	errs := make([]error, 0, len(members))
	for _, member := range members {
		if err := s.leave(ctx, member); err != nil {
			errs = append(errs, fmt.Errorf("member %s of group %s: %w", member, config.Kafka.Group, err))
		}
	}
	return errors.Join(errs...)
}

// leave takes one static member out of the group.
func (s *Source) leave(ctx context.Context, member string) (err error) {
	doubtful := false // a request was sent and got no response: it may be done
	for try := range leaveTries {
		if try > 0 && !Sleep(ctx, s.backoff) {
			break
		}
		var response *sarama.LeaveGroupResponse
		response, err = Await(ctx, &s.calls, func() (*sarama.LeaveGroupResponse, error) {
			return roundTrip(s.offsets, func(b *sarama.Broker) (*sarama.LeaveGroupResponse, error) {
				// Version 3 is the first that names static members (KIP-345, Kafka 2.4).
				members := []sarama.MemberIdentity{{GroupInstanceId: &member}}
				return b.LeaveGroup(&sarama.LeaveGroupRequest{
					Version: 3, GroupId: s.config.Kafka.Group, Members: members,
				})
			})
		})
		switch {
		case err != nil:
			doubtful = doubtful || !errors.As(err, new(unsentError))
		case response.Err != sarama.ErrNoError:
			err = response.Err
		case len(response.Members) != 1:
			err = sarama.ErrIncompleteResponse
		case response.Members[0].Err != sarama.ErrNoError:
			err = response.Members[0].Err
		default:
			return nil
		}
		switch {
		case errors.Is(err, sarama.ErrUnknownMemberId) && doubtful:
			return nil
		case errors.Is(err, sarama.ErrUnknownMemberId):
			return ErrNoMember
		case errors.Is(err, sarama.ErrGroupAuthorizationFailed):
			return fmt.Errorf("%w; grant READ on the group to this principal", err)
		case coordinatorMoved(err):
			s.offsets.lost.Store(true)
		}
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	return Explain(err)
}

// retire leaves the group as a static member whose configuration says that its end is for good. Its claims have
// drained. One that cannot be reached leaves by its session timeout.
func (s *Source) retire() {
	k := &s.config.Kafka
	if k.InstanceID == "" || !k.Leave {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(k.RequestTimeout))
	defer cancel()
	switch err := s.leave(ctx, k.InstanceID); {
	case err == nil:
		s.log.Info("left the group for good", "member", k.InstanceID)
	case errors.Is(err, ErrNoMember): // it had never joined, or was away for longer than its session
	default:
		s.log.Warn("could not leave the group: the partitions rest until the session times out",
			"member", k.InstanceID, "session_timeout", k.SessionTimeout, "error", err)
	}
}
