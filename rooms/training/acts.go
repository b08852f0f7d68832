package training

import (
	"context"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/training/lesson"
)

func (t *Training) giveNow(ctx context.Context, lessonID string, to id.Person, day time.Time) error {
	return t.DB.Update(ctx, func(tx *store.Tx) error { return t.give(ctx, tx, lessonID, to, day) })
}

func (t *Training) addNow(ctx context.Context, l lesson.Lesson, text string) error {
	return t.DB.Update(ctx, func(tx *store.Tx) error { return t.addLesson(ctx, tx, l, text) })
}

func (t *Training) keepSettings(ctx context.Context, s settings, kind string) error {
	return t.keep(ctx, s, ledger.Fact{Kind: kind})
}
