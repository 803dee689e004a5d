"""Models as users of Pydantic write them; each is exported as it comes by `model_json_schema()`.

    python evals/sources/pydantic_models.py FOLDER

writes `FOLDER/pydantic_*.json`. `evals/schemas` holds what Pydantic of `evals/requirements.txt` wrote.
"""

import datetime
import decimal
import enum
import json
import sys
import uuid
from pathlib import Path
from typing import Annotated, Literal, Optional, Union

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter


class Book(BaseModel):
    """A book as a library lists it."""

    title: str
    author: str
    year: int = Field(ge=1450, le=2100, description="Year of the first edition.")
    subtitle: Optional[str] = None


class Priority(str, enum.Enum):
    low = "low"
    normal = "normal"
    high = "high"
    critical = "critical"


class Ticket(BaseModel):
    summary: str = Field(description="One sentence.")
    priority: Priority
    component: Literal["frontend", "backend", "database", "network"]
    reproducible: bool
    duplicate_of: Optional[int] = Field(default=None, description="Number of the older ticket.")


class Address(BaseModel):
    street: str
    city: str
    postal_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{3}$")]


class Customer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    billing: Address
    shipping: Optional[Address] = None
    tags: list[str] = Field(default_factory=list, max_length=4)


class Employee(BaseModel):
    name: str
    role: str
    reports: list["Employee"] = Field(default_factory=list, description="People who report to this one.")


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str = Field(min_length=15, max_length=34)


class Card(BaseModel):
    kind: Literal["card"] = "card"
    last_digits: Annotated[str, StringConstraints(pattern=r"^\d{4}$")]
    network: Literal["visa", "mastercard", "amex"]


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"
    currency: str = Field(pattern="^[A-Z]{3}$")


class Payment(BaseModel):
    amount: float = Field(gt=0)
    method: Union[Transfer, Card, Cash] = Field(discriminator="kind")


class Appointment(BaseModel):
    id: uuid.UUID
    day: datetime.date
    begins: datetime.datetime
    reminder: datetime.time
    notes: Optional[str]


class Line(BaseModel):
    article: str
    quantity: int = Field(ge=1, le=1000)
    unit_price: decimal.Decimal = Field(ge=0)


class Invoice(BaseModel):
    number: str = Field(pattern=r"^INV-\d{4}-\d{5}$")
    issued: datetime.date
    lines: list[Line] = Field(min_length=1, max_length=10)
    currency: Literal["EUR", "USD", "GBP"] = "EUR"


class Point(BaseModel):
    position: tuple[float, float]
    label: str


class Route(BaseModel):
    name: str
    points: list[Point] = Field(min_length=2, max_length=6)
    bounds: tuple[tuple[float, float], tuple[float, float]]


class Skill(str, enum.Enum):
    cooking = "cooking"
    gardening = "gardening"
    carpentry = "carpentry"
    sewing = "sewing"
    painting = "painting"


class Volunteer(BaseModel):
    name: str
    skills: set[Skill] = Field(min_length=1)
    hours: dict[str, float] = Field(description="Hours by weekday.")
    website: Optional[AnyUrl] = None


class Number(BaseModel):
    node: Literal["number"]
    value: float


class Variable(BaseModel):
    node: Literal["variable"]
    name: str = Field(pattern="^[a-z]+$")


class Operation(BaseModel):
    node: Literal["operation"]
    operator: Literal["+", "-", "*", "/"]
    left: "Expression"
    right: "Expression"


Expression = Annotated[Union[Number, Variable, Operation], Field(discriminator="node")]


class Formula(BaseModel):
    title: str
    expression: Expression


Operation.model_rebuild()


class Measurement(BaseModel):
    sensor: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,8}_[0-9]{1,3}$")]
    celsius: Optional[float] = Field(ge=-90, le=60)
    quality: Annotated[int, Field(ge=0, le=100, multiple_of=5)]


class Station(BaseModel):
    name: str
    measurements: dict[Annotated[str, StringConstraints(pattern=r"^[0-9]{2}:[0-9]{2}$")], Measurement]


class Contact(BaseModel):
    name: str
    phone: Union[str, int, None] = None
    birthday: Optional[datetime.date] = None
    languages: list[Literal["pt", "en", "es", "fr", "de"]] = Field(min_length=1, max_length=3)


class Chapter(BaseModel):
    title: str
    sections: list["Section"] = Field(min_length=1, max_length=4)


class Section(BaseModel):
    heading: str
    paragraphs: list["Paragraph"] = Field(min_length=1, max_length=3)


class Paragraph(BaseModel):
    text: str
    sources: list["Source"] = Field(max_length=2)


class Source(BaseModel):
    author: str
    year: Optional[int]


class Outline(BaseModel):
    title: str
    chapters: list[Chapter] = Field(min_length=1, max_length=3)


EXPORTED = {
    "book": Book,
    "ticket": Ticket,
    "customer": Customer,
    "employee": Employee,
    "payment": Payment,
    "appointment": Appointment,
    "invoice": Invoice,
    "route": Route,
    "volunteer": Volunteer,
    "formula": Formula,
    "station": Station,
    "contacts": list[Contact],
    "priority": Priority,
    "outline": Outline,
}


def main():
    folder = Path(sys.argv[1])
    for name, model in EXPORTED.items():
        schema = TypeAdapter(model).json_schema()
        (folder / f"pydantic_{name}.json").write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
