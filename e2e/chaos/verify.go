package chaos

import (
	"context"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// verify compares every offset, when everything is committed.
func (r *run) verify(ctx context.Context) (Report, error) {
	r.line("everything is committed; comparing every offset")
	log, err := r.stack.Log()
	if err != nil {
		return Report{}, err
	}
	defer log.Close()
	report := Report{
		Seed: r.config.Seed, Results: &r.results, Growth: r.growth(),
		Opens: map[string]int64{}, Created: r.watch.total(created),
		Finalized: r.watch.total(finalized),
	}
	for _, o := range openings {
		report.Opens[o] = r.watch.total(o)
	}
	var wants []verify.Topic
	var whys []map[int32]map[int64]reasons
	for _, l := range r.loads {
		sum := l.made()
		report.Produced += sum.Events
		why, err := readLetters(ctx, log, l.topic.name)
		if err != nil {
			return Report{}, err
		}
		one, err := compareLetters(ctx, log, l.topic.name, why, r.config.RefuseEvery)
		if err != nil {
			return Report{}, err
		}
		skippedBad, err := r.badAmong(ctx, l.topic.name, why)
		if err != nil {
			return Report{}, err
		}
		one.Injected = sum.Truncated + sum.UnknownTypes - skippedBad
		whys = append(whys, why)
		if l.topic.name == stack.DeliveryTopic {
			if report.Shadow, err = r.compareShadow(ctx, why); err != nil {
				return Report{}, err
			}
		}
		report.Letters = append(report.Letters, one)
		wants = append(wants, l.topic.want)
	}
	report.Verified, err = r.stack.Verify(ctx, verify.Config{Topics: wants, Seed: r.config.Seed})
	if err != nil {
		return Report{}, err
	}
	for i, l := range r.loads {
		s := r.results.skips.account(l.topic.name, whys[i])
		if err := r.beside(ctx, l.topic, whys[i], &s, &report.Verified); err != nil {
			return Report{}, err
		}
		report.Skips = report.Skips.plus(s)
	}
	return report, nil
}
