"""A subject's sheet: what a lab knows of a person behind a pseudonymous id, and may record."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.actions import Skill

Sex = Literal["female", "male", "other"]
Side = Literal["right", "left"]


class SubjectSheet(BaseModel):
    """The content of ``subjects/<subject>.toml``. No names, no birthdays: the id is a pseudonym and stays one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    skill: Skill = Field(description="Skill level: novice, amateur or expert.")
    sex: Sex | None = Field(None, description="female, male or other.")
    age_years: int | None = Field(None, ge=0, le=130, description="Age in whole years at the first session.")
    height_m: float | None = Field(None, ge=0.4, le=2.8, description="Height in metres.")
    mass_kg: float | None = Field(None, ge=5, le=500, description="Body mass in kilograms.")
    dominant_side: Side | None = Field(None, description="right or left.")
    consent: bool | None = Field(None, description="Whether the subject has consented to be recorded.")
    consent_until: date | None = Field(None, description="Last day of the consent, such as 2027-03-31.")

    def refusal(self, today: date) -> str | None:
        """Return why the subject may not be recorded on a day, None where nothing in the sheet says so."""
        if self.consent is False:
            return "has not consented to be recorded"
        if self.consent_until is not None and today > self.consent_until:
            return f"consented until {self.consent_until.isoformat()} only"
        return None

    def columns(self) -> dict[str, str | float | int | None]:
        """Return what of the sheet is part of a dataset; the consent stays in the lab."""
        return self.model_dump(exclude={"consent", "consent_until"})
