package store

import (
	"fmt"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
)

// Error is a refusal as the Storage Write API puts it; the REST API maps Code to its own.
type Error struct {
	Code    codes.Code
	Storage storagepb.StorageError_StorageErrorCode
	// Entity is the table or write stream the error is about.
	Entity  string
	Message string
	// NoTable says that there is no such table.
	NoTable bool
}

func (e *Error) Error() string { return e.Message }

func tableNotFound(name string) *Error {
	return &Error{
		Code: codes.NotFound, Storage: storagepb.StorageError_TABLE_NOT_FOUND, Entity: name, NoTable: true,
		Message: "Requested entity was not found: table " + name,
	}
}

func streamNotFound(name string) *Error {
	return &Error{
		Code: codes.NotFound, Storage: storagepb.StorageError_STREAM_NOT_FOUND, Entity: name,
		Message: "Requested entity was not found. Entity: " + name,
	}
}

func offsetExists(name string, expected, received int64) *Error {
	return &Error{
		Code: codes.AlreadyExists, Storage: storagepb.StorageError_OFFSET_ALREADY_EXISTS, Entity: name,
		Message: fmt.Sprintf("The offset is within stream, expected offset %d, received %d Entity: %s",
			expected, received, name),
	}
}

func offsetBeyond(name string, expected, received int64) *Error {
	return &Error{
		Code: codes.OutOfRange, Storage: storagepb.StorageError_OFFSET_OUT_OF_RANGE, Entity: name,
		Message: fmt.Sprintf("The offset is beyond stream, expected offset %d, received %d Entity: %s",
			expected, received, name),
	}
}

func streamFinalized(name string) *Error {
	return &Error{
		Code: codes.InvalidArgument, Storage: storagepb.StorageError_STREAM_FINALIZED, Entity: name,
		Message: "Stream has been finalized and cannot be appended. Entity: " + name,
	}
}

func invalidType(name, message string) *Error {
	return &Error{
		Code: codes.InvalidArgument, Storage: storagepb.StorageError_INVALID_STREAM_TYPE, Entity: name,
		Message: message + " Entity: " + name,
	}
}

func invalid(entity, format string, args ...any) *Error {
	return &Error{Code: codes.InvalidArgument, Entity: entity, Message: fmt.Sprintf(format, args...)}
}
