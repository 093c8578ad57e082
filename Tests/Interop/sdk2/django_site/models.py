"""A site whose user model is not Django's own: another key, other column names."""
import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class Member(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_column="member_id")
    username = models.CharField(max_length=150, unique=True, db_column="login")
    nickname = models.CharField(max_length=100, blank=True, default="")
    groups = None
    user_permissions = None


class Message(models.Model):
    author = models.ForeignKey(Member, on_delete=models.CASCADE)
    question = models.TextField()
    answer = models.TextField()
    created_at = models.DateTimeField()
