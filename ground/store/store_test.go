package store_test

import (
	"testing"

	"quietroom/ground/store/storetest"
)

func TestBothDatabasesKeepTheSamePromises(t *testing.T) {
	storetest.Databases(t, storetest.TestStore)
}

func TestMigrations(t *testing.T) {
	storetest.Databases(t, storetest.TestMigrations)
}
