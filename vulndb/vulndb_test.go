package vulndb

import "testing"

func TestX(t *testing.T) {}
