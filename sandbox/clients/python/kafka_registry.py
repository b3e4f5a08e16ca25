"""confluent-kafka against the sandbox: producing and consuming in a group, and the registry's serializers of all three formats."""

import datetime

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient, dual_schema_id_deserializer, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

import checks

BROKERS = ",".join(checks.ENDPOINTS["kafka"])
registry = SchemaRegistryClient({"url": checks.ENDPOINTS["registry"]})


def order_class():
    """Messages as protoc would have generated them: one file that imports another, and a well-known one."""
    pool = descriptor_pool.Default()
    address = descriptor_pb2.FileDescriptorProto(name="py/address.proto", package="py", syntax="proto3")
    address.message_type.add(name="Address").field.add(name="city", number=1, type=9, label=1)
    order = descriptor_pb2.FileDescriptorProto(name="py/order.proto", package="py", syntax="proto3")
    order.dependency.extend(["py/address.proto", timestamp_pb2.DESCRIPTOR.name])
    fields = order.message_type.add(name="Order").field
    fields.add(name="id", number=1, type=3, label=1)
    fields.add(name="to", number=2, type=11, type_name=".py.Address", label=1)
    fields.add(name="at", number=3, type=11, type_name=".google.protobuf.Timestamp", label=1)
    for file in (address, order):
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("py.Order"))


Order = order_class()


def through_kafka(topic, value, headers=None):
    """Produces one record and gives it as a consumer of a group gets it."""
    producer = Producer({"bootstrap.servers": BROKERS})
    producer.produce(topic, value=value, headers=headers)
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": BROKERS, "group.id": "python-" + topic, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        assert message is not None and message.error() is None, message and message.error()
        consumer.commit(asynchronous=False)
        return message
    finally:
        consumer.close()


def create(topic):
    admin = AdminClient({"bootstrap.servers": BROKERS})  # its responses come while it lives
    for future in admin.create_topics([NewTopic(topic, num_partitions=1)]).values():
        future.result(30)


@checks.check
def protobuf_serializer():
    create("python-protobuf")
    context = SerializationContext("python-protobuf", MessageField.VALUE)
    order = Order(id=7)
    order.to.city = "Porto"
    order.at.FromDatetime(datetime.datetime(2024, 1, 2, 3, 4, 5))
    value = ProtobufSerializer(Order, registry)(order, context)
    message = through_kafka("python-protobuf", value)
    for deserializer in (ProtobufDeserializer(Order, {"use.deprecated.format": False}), ProtobufDeserializer(Order, schema_registry_client=registry)):
        assert deserializer(message.value(), context) == order
    latest = registry.get_latest_version("python-protobuf-value")
    assert "message Order {" in latest.schema.schema_str, latest.schema.schema_str
    assert [r.name for r in latest.schema.references] == ["py/address.proto"], latest.schema.references
    # A client that starts anew finds the schema under the id it has.
    assert ProtobufSerializer(Order, SchemaRegistryClient({"url": checks.ENDPOINTS["registry"]}))(order, context) == value


@checks.check
def avro_serializer():
    create("python-avro")
    context = SerializationContext("python-avro", MessageField.VALUE)
    schema = '{"type": "record", "name": "A", "fields": [{"name": "n", "type": "long"}, {"name": "s", "type": ["null", "string"]}]}'
    value = AvroSerializer(registry, schema)({"n": 1, "s": None}, context)
    message = through_kafka("python-avro", value)
    assert AvroDeserializer(registry)(message.value(), context) == {"n": 1, "s": None}


@checks.check
def json_serializer():
    context = SerializationContext("python-json", MessageField.VALUE)
    schema = '{"title": "J", "type": "object", "properties": {"n": {"type": "integer"}}}'
    value = JSONSerializer(schema, registry)({"n": 1}, context)
    assert JSONDeserializer(schema, schema_registry_client=registry)(value, context) == {"n": 1}


@checks.check
def guids_in_headers():
    headers = []
    context = SerializationContext("python-guid", MessageField.VALUE, headers)
    schema = '{"type": "record", "name": "G", "fields": [{"name": "s", "type": "string"}]}'
    record = {"s": "the deserializer wants six bytes"}
    value = AvroSerializer(registry, schema, conf={"schema.id.serializer": header_schema_id_serializer})(record, context)
    assert headers, "the GUID is in no header"
    fresh = SchemaRegistryClient({"url": checks.ENDPOINTS["registry"]})
    deserializer = AvroDeserializer(fresh, conf={"schema.id.deserializer": dual_schema_id_deserializer})
    assert deserializer(value, context) == record


checks.run()
